#!/usr/bin/env python3
"""Foreign clients against `mailkeeper simulate`: Microsoft's Python SDK, Microsoft's JavaScript client, plain msal, and a
sweep over every endpoint whose answers are checked against Microsoft's schema.

usage: tests/conformance/run.py PROGRAM WORK_DIRECTORY

Installs the clients from PyPI and npm into WORK_DIRECTORY; exits with 77 when PyPI cannot be reached. The JavaScript client
is left out where there is no npm. MAILKEEPER_GRAPH_SHAPES names the schema; without it the answers are not checked.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(SKIPPED)


def prepare(work):
    """The interpreter of a virtual environment with the clients in it."""
    requirements = HERE / "requirements.txt"
    environment, installed = work / "venv", work / "installed.txt"
    python = environment / "bin" / "python"
    if not python.exists():
        try:
            venv.create(environment, with_pip=True)
        except subprocess.CalledProcessError:
            skip("this Python cannot make virtual environments (python3-venv is missing)")
    if not installed.exists() or installed.read_text() != requirements.read_text():
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # An unreachable index is noticed within a minute; a slow one may take its time.
        command += ["--timeout", "15", "--retries", "2", "-r", requirements]
        try:
            is_installed = subprocess.run(command, timeout=600).returncode == 0
        except subprocess.TimeoutExpired:
            is_installed = False
        if not is_installed:
            skip("PyPI cannot be reached, or does not have the clients")
        installed.write_text(requirements.read_text())
    return python


def prepare_node(work):
    """The directory with the JavaScript client; None where it cannot be had."""
    if not shutil.which("npm") or not shutil.which("node"):
        print("left out: the JavaScript client (there is no npm)", file=sys.stderr)
        return None
    directory = work / "node"
    directory.mkdir(parents=True, exist_ok=True)
    for file in (HERE / "node").iterdir():
        shutil.copy(file, directory)
    if not (directory / "node_modules").exists():
        command = ["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        if subprocess.run(command, cwd=directory, timeout=300).returncode != 0:
            print("left out: the JavaScript client (npm cannot install it)", file=sys.stderr)
            return None
    return directory


def main(program, work):
    work = pathlib.Path(work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    python = prepare(work)
    node = prepare_node(work)
    command = [python, HERE / "session.py", pathlib.Path(program).resolve(), work, node or "-"]
    sys.exit(subprocess.run(command, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}).returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
