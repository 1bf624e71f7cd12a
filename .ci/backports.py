"""Prints an apt source line for the backports suite, derived from the Debian source this machine uses."""

import glob
import re
import sys


def stanzas():
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        for text in re.split(r"\n\s*\n", open(path).read()):
            yield dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", text, re.M))
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
        try:
            text = open(path).read()
        except FileNotFoundError:
            continue
        for options, uri, suite in re.findall(r"^deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)", text, re.M):
            signed = re.search(r"signed-by=(\S+)", options or "")
            yield {"URIs": uri, "Suites": suite, "Signed-By": signed.group(1) if signed else ""}


for stanza in stanzas():
    if "bookworm" in stanza.get("Suites", "").split():
        key = stanza.get("Signed-By")
        option = f"[signed-by={key}] " if key else ""
        print(f"deb {option}{stanza['URIs'].split()[0]} bookworm-backports main")
        sys.exit(0)
sys.exit("backports: no Debian source with the suite 'bookworm' on this machine")
