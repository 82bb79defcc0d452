#!/bin/sh
# Development certificates: a CA of one's own and a server certificate for localhost, 127.0.0.1 and ::1 (EC P-256).
#
#   certs/make-certs.sh [DIRECTORY]      default: certs/dev, which git ignores
#
# Makes ca.pem, ca.key, server.pem, server.key. What is there and good for another week is kept, so it may run at
# every start. Not for production: the CA's key lies beside the certificates, without a passphrase.
set -eu

here=$(dirname "$(readlink -f "$0")")
dir=${1:-$here/dev}
week=604800

command -v openssl >/dev/null || { echo "make-certs.sh: no openssl on PATH (scripts/install-deps.sh test)" >&2; exit 1; }
umask 077
mkdir -p "$dir"

good() { # certificate, key: unexpired, and the two belong together
    [ -s "$dir/$1" ] && [ -s "$dir/$2" ] &&
        openssl x509 -in "$dir/$1" -noout -checkend $week >/dev/null 2>&1 &&
        [ "$(openssl x509 -in "$dir/$1" -noout -pubkey)" = "$(openssl pkey -in "$dir/$2" -pubout 2>/dev/null)" ]
}

new_key() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$dir/$1.part" 2>/dev/null
    mv "$dir/$1.part" "$dir/$1"
}

if ! good ca.pem ca.key; then
    new_key ca.key
    openssl req -x509 -new -key "$dir/ca.key" -sha256 -days 3650 -subj "/CN=Sluice development CA" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -out "$dir/ca.pem.part"
    mv "$dir/ca.pem.part" "$dir/ca.pem"
    rm -f "$dir/server.pem"
fi

if ! good server.pem server.key || ! openssl verify -CAfile "$dir/ca.pem" "$dir/server.pem" >/dev/null 2>&1; then
    new_key server.key
    cat >"$dir/server.ext" <<EOF
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1
EOF
    openssl req -new -key "$dir/server.key" -subj "/CN=localhost" -out "$dir/server.csr"
    openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
        -sha256 -days 825 -extfile "$dir/server.ext" -out "$dir/server.pem.part" 2>/dev/null
    mv "$dir/server.pem.part" "$dir/server.pem"
    rm -f "$dir/server.csr" "$dir/server.ext"
fi
openssl verify -CAfile "$dir/ca.pem" "$dir/server.pem" >/dev/null
echo "$dir: ca.pem server.pem server.key"
