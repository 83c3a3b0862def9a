#!/usr/bin/env python3
"""Small packages with the control data that an archive's index lists, for programs that publish files.

    benches/packages.py INDEX FOLDER MOST

INDEX is an unpacked Packages. FOLDER gets at most MOST packages, each with nothing but its control data, and ten more that
stand far from each other in FOLDER-later. INDEX-first and INDEX-later list the same ones.
"""

import gzip
import io
import os
import sys
import tarfile

LEFT_OUT = ("Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Description-md5")


def fields(stanza):
    """Each field's name with its lines."""
    found = []
    for line in stanza.split("\n"):
        if line[:1] in (" ", "\t"):
            found[-1][1] += "\n" + line
        else:
            found.append([line.split(":", 1)[0], line])
    return found


def packed(name, content):
    """A tar with one file, or with none."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, compresslevel=1) as zipped:
        with tarfile.open(fileobj=zipped, mode="w") as tar:
            if name:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def member(name, content):
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
    return head.encode() + content + b"\n" * (len(content) % 2)


def main(index, folder, most):
    nothing = packed(None, b"")
    stanzas = [one for one in open(index, encoding="utf-8").read().split("\n\n") if one.strip()]
    seen, chosen = set(), []
    for stanza in stanzas:
        found = fields(stanza)
        said = {name: text.split(":", 1)[1].strip() for name, text in found}
        version = said["Version"].split(":", 1)[-1]
        name = f"{said['Package']}_{version}_{said['Architecture']}.deb"
        if name not in seen and len(chosen) < most:
            seen.add(name)
            chosen.append((name, found, stanza))
    for place in (folder, folder + "-later"):
        os.makedirs(place, exist_ok=True)
    lists = [open(f"{index}-{which}", "w", encoding="utf-8") for which in ("first", "later")]
    for number, (name, found, stanza) in enumerate(chosen):
        is_later = number % (len(chosen) // 10) == 7
        control = "\n".join(text for field, text in found if field not in LEFT_OUT) + "\n"
        deb = b"!<arch>\n" + member("debian-binary", b"2.0\n")
        deb += member("control.tar.gz", packed("./control", control.encode()))
        deb += member("data.tar.gz", nothing)
        with open(os.path.join(folder + "-later" if is_later else folder, name), "wb") as file:
            file.write(deb)
        lists[is_later].write(stanza + "\n\n")
    for one in lists:
        one.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
