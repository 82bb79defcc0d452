"""Development certificates by the project's own script: ca.pem, ca.key, server.pem, server.key in a directory."""
import os
import pathlib
import subprocess

from .process import ROOT


def make_certs(directory):
    subprocess.run([os.path.join(ROOT, "certs", "make-certs.sh"), str(directory)], check=True, capture_output=True, timeout=30)
    return pathlib.Path(directory)


def issue(directory):
    """A new server certificate of the same CA."""
    for name in ("server.pem", "server.key"):
        (directory / name).unlink()
    return make_certs(directory)
