"""The jars of a real Apache Kafka, and what makes a broker start quickly from them.

For: finding or fetching the broker's jars once per version, and preparing two things beside them: the bootstrap
snapshot that StorageTool writes (so that formatting a node is two small files instead of a JVM) and a class data
sharing archive (so that a node is up in about half the time).
Not for: running brokers that tests talk to; that is kafka.py.

Where the jars come from: $KAFKA_HOME/libs if that is set, else Maven with tests/kafka/pom.xml into
${XDG_CACHE_HOME:-~/.cache}/sluice/kafka-<version>-<hash of the pom>. GW_KAFKA chooses a profile of the pom
("3.9"); GW_KAFKA_JVM adds JVM options.
"""
import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET

HERE = os.path.dirname(os.path.abspath(__file__))
POM = os.path.normpath(os.path.join(HERE, "..", "..", "kafka", "pom.xml"))
JVM = ["-Xms96m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto",
       "-Xlog:disable", "-Xlog:all=error:stderr:uptime,level", "-Djava.awt.headless=true",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
       "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS", "-Dorg.slf4j.simpleLogger.showShortLogName=true"]
# Only a distribution's libs/ (KAFKA_HOME) reads these; the jars from the pom log by slf4j-simple.
LOG4J2 = """<Configuration status="error">
  <Appenders><Console name="err" target="SYSTEM_ERR"><PatternLayout pattern="%d{HH:mm:ss.SSS} %p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="err"/></Root></Loggers>
</Configuration>
"""
LOG4J1 = """log4j.rootLogger=WARN, err
log4j.appender.err=org.apache.log4j.ConsoleAppender
log4j.appender.err.Target=System.err
log4j.appender.err.layout=org.apache.log4j.PatternLayout
log4j.appender.err.layout.ConversionPattern=%d{HH:mm:ss.SSS} %p %c{1} %m%n
"""


class Unavailable(Exception):
    """There is no Kafka to be had on this machine; the text says what is missing."""


def cache_root():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "sluice")


def pom_versions():
    """profile -> version; the default's profile is ''."""
    ns = {"m": "http://maven.apache.org/POM/4.0.0"}
    root = ET.parse(POM).getroot()
    found = {"": root.findtext("m:properties/m:kafka.version", namespaces=ns)}
    for profile in root.findall("m:profiles/m:profile", ns):
        name = profile.findtext("m:id", namespaces=ns)
        found[name] = profile.findtext("m:properties/m:kafka.version", namespaces=ns)
    return found


def pick_profile(which):
    """'' | 'kafka-3.9' | '3.9' | '3.9.2' -> (profile, version)"""
    versions = pom_versions()
    for profile, version in versions.items():
        if which in (profile, profile.replace("kafka-", "", 1), version):
            return profile, version
    raise Unavailable(f"no profile '{which}' in {POM}; there are: {sorted(versions.values())}")


@contextlib.contextmanager
def locked(directory):
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, ".lock"), "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


class Dist:
    """One Kafka distribution: class path, JVM options, bootstrap snapshot."""

    def __init__(self, version, libs, home):
        self.version = version
        self.libs = libs
        self.home = home  # where the prepared files lie
        self.jars = sorted(glob.glob(os.path.join(libs, "*.jar")))
        self.java = find_java()

    @property
    def archive(self):
        # An archive fits one JVM and one class path in this very place; the JVM checks the jars' sizes and times itself.
        seed = java_version(self.java) + "\n".join(self.jars)
        return os.path.join(self.home, f"classes-{hashlib.sha256(seed.encode()).hexdigest()[:12]}.jsa")

    @property
    def snapshot(self):
        return os.path.join(self.home, "bootstrap.checkpoint")

    @property
    def is_prepared(self):
        return os.path.exists(self.snapshot) and (os.path.exists(self.archive) or os.path.exists(self.archive + ".none"))

    def command(self, main, *args, archive_out=None):
        cmd = [self.java, *JVM]
        if archive_out:
            cmd.append(f"-XX:ArchiveClassesAtExit={archive_out}")
        elif os.path.exists(self.archive):
            cmd.append(f"-XX:SharedArchiveFile={self.archive}")
        cmd += [f"-Dlog4j2.configurationFile=file:{self.home}/log4j2.xml", f"-Dlog4j.configuration=file:{self.home}/log4j.properties"]
        cmd += os.environ.get("GW_KAFKA_JVM", "").split()
        return cmd + ["-cp", ":".join(self.jars), main, *args]

    def format(self, properties, cluster_id, scram=None):
        """Runs StorageTool on a server.properties; quick nodes copy its result instead."""
        cmd = self.command("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", properties)
        for user, password in (scram or {}).items():
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                cmd += ["--add-scram", f"{mechanism}=[name={user},password={password}]"]
        done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"StorageTool format failed:\n{done.stdout}")


def find_java():
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    if not java or not os.access(java, os.X_OK):
        raise Unavailable("no java on PATH (scripts/install-deps.sh kafka)")
    return java


def java_version(java):
    return subprocess.run([java, "-version"], stderr=subprocess.PIPE, text=True, timeout=60).stderr


def fetch_jars(profile, version, home):
    mvn = shutil.which("mvn")
    if not mvn:
        raise Unavailable(f"no Kafka {version} in {home}, and no mvn on PATH to fetch it (scripts/install-deps.sh kafka)")
    part = tempfile.mkdtemp(prefix="libs.part-", dir=home)
    cmd = [mvn, "-B", "-q", "-f", POM, "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={part}"]
    if profile:
        cmd.append(f"-P{profile}")
    try:
        done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as late:
        shutil.rmtree(part, ignore_errors=True)
        raise Unavailable(f"Maven did not bring Kafka {version} within 600 s") from late
    if done.returncode != 0 or not glob.glob(os.path.join(part, "kafka_*.jar")):
        shutil.rmtree(part, ignore_errors=True)
        raise Unavailable(f"Maven could not bring Kafka {version}:\n{done.stdout[-2000:]}")
    os.rename(part, os.path.join(home, "libs"))


def write_log_config(home):
    for name, text in (("log4j2.xml", LOG4J2), ("log4j.properties", LOG4J1)):
        path = os.path.join(home, name)
        if not os.path.exists(path):
            with open(path, "w", encoding="ascii") as f:
                f.write(text)


def get(which=None):
    """The distribution to use, fetched if need be. Raises Unavailable."""
    named = os.environ.get("KAFKA_HOME")
    if named:
        libs = os.path.join(named, "libs")
        if not glob.glob(os.path.join(libs, "kafka_*.jar")):
            raise Unavailable(f"KAFKA_HOME={named}: no libs/kafka_*.jar there")
        jar = os.path.basename(sorted(glob.glob(os.path.join(libs, "kafka_*.jar")))[0])
        version = jar[:-4].split("-", 1)[1]
        home = os.path.join(cache_root(), f"home-{hashlib.sha256(os.path.abspath(libs).encode()).hexdigest()[:8]}-{version}")
    else:
        profile, version = pick_profile(os.environ.get("GW_KAFKA", "") if which is None else which)
        with open(POM, "rb") as f:
            home = os.path.join(cache_root(), f"kafka-{version}-{hashlib.sha256(f.read()).hexdigest()[:8]}")
        libs = os.path.join(home, "libs")
        find_java()
    with locked(home):
        if not os.path.isdir(libs):
            fetch_jars(profile, version, home)
        write_log_config(home)
    return Dist(version, libs, home)
