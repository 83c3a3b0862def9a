#!/usr/bin/env python3
"""Big inputs for the benchmarks: random files, and an npm registry of as many packages as one likes.

    large.py files DIR              4 GiB of random bytes: three files of 1 GiB, 16,384 of 64 KiB
    large.py project DIR COUNT PORT a project whose lockfile lists COUNT packages of the registry below
    large.py registry COUNT PORT    that registry, on loopback

Everything but the random bytes follows from the numbers alone, so a second run is asked for the same bytes.
"""

import asyncio
import base64
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

GIB = 1 << 30


def files(directory):
    os.makedirs(directory, exist_ok=True)
    for number in range(3):
        with open(f"{directory}/large-{number}", "wb") as out:
            for _ in range(GIB >> 24):
                out.write(os.urandom(1 << 24))
    for number in range(GIB >> 16):
        with open(f"{directory}/small-{number:05}", "wb") as out:
            out.write(os.urandom(1 << 16))


def name_of(number):
    return f"bulk-{number:06}"


def tarball(number):
    manifest = json.dumps({"name": name_of(number), "version": "1.0.0"}).encode()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("package/package.json")
        member.size = len(manifest)
        archive.addfile(member, io.BytesIO(manifest))
    return gzip.compress(raw.getvalue(), 1, mtime=0)


def integrity(bytes_):
    return "sha512-" + base64.b64encode(hashlib.sha512(bytes_).digest()).decode()


def dependencies(number, count):
    """Each package needs two others, so that there is a closure to prove."""
    return {name_of((number * 7 + 1) % count): "^1.0.0", name_of((number * 13 + 5) % count): ">=1.0.0 <2"}


def address(number, port):
    name = name_of(number)
    return f"http://127.0.0.1:{port}/{name}/-/{name}-1.0.0.tgz"


def project(directory, count, port):
    os.makedirs(directory, exist_ok=True)
    entries = {"": {"name": "bulk", "version": "1.0.0", "dependencies": {name_of(0): "^1.0.0"}}}
    for number in range(count):
        entries[f"node_modules/{name_of(number)}"] = {
            "version": "1.0.0",
            "resolved": address(number, port),
            "integrity": integrity(tarball(number)),
            "dependencies": dependencies(number, count),
        }
    lock = {"name": "bulk", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": entries}
    with open(f"{directory}/package-lock.json", "w") as out:
        json.dump(lock, out)
    with open(f"{directory}/package.json", "w") as out:
        json.dump(entries[""], out)
    with open(f"{directory}/.npmrc", "w") as out:
        out.write(f"registry=http://127.0.0.1:{port}/\n")


def packument(number, count, port):
    name, bytes_ = name_of(number), tarball(number)
    dist = {
        "integrity": integrity(bytes_),
        "shasum": hashlib.sha1(bytes_).hexdigest(),
        "tarball": address(number, port),
        "fileCount": 1,
        "unpackedSize": 42,
    }
    version = {
        "name": name,
        "version": "1.0.0",
        "description": f"Package {number} of {count}",
        "license": "MIT",
        "dependencies": dependencies(number, count),
        "dist": dist,
    }
    document = {
        "_id": name,
        "name": name,
        "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": version},
        "time": {"created": "2026-01-01T00:00:00.000Z", "1.0.0": "2026-01-01T00:00:00.000Z"},
    }
    return json.dumps(document).encode()


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as the benchmark needs it: GET, kept alive."""

    def __init__(self, count, port):
        self.count, self.port, self.unread = count, port, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.unread += data
        while b"\r\n\r\n" in self.unread:
            head, self.unread = self.unread.split(b"\r\n\r\n", 1)
            self.answer(head.split(b" ", 2)[1].decode())

    def answer(self, path):
        parts = path.strip("/").split("/")
        number = parts[0].removeprefix("bulk-")
        if not number.isdigit() or int(number) >= self.count:
            self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        kind = b"application/json" if len(parts) == 1 else b"application/octet-stream"
        body = packument(int(number), self.count, self.port) if len(parts) == 1 else tarball(int(number))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
        self.transport.write(head + body)


async def registry(count, port):
    server = await asyncio.get_running_loop().create_server(lambda: Connection(count, port), "127.0.0.1", port)
    await server.serve_forever()


def main():
    match sys.argv[1:]:
        case ["files", directory]:
            files(directory)
        case ["project", directory, count, port]:
            project(directory, int(count), int(port))
        case ["registry", count, port]:
            asyncio.run(registry(int(count), int(port)))
        case _:
            sys.exit(__doc__)


main()
