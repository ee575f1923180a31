"""Types lines into psql on a terminal, each with a tab at its end, and prints what readline has made of them.

A line is completed, then turned into an \\echo of itself by the keys for its beginning and end, so nothing has to be waited for. All of it
happens inside one transaction: a completion whose query fails would abort it, and psql itself says nothing of that.
"""
import os
import pty
import sys
import tempfile

lines = [line for line in open(sys.argv[1], encoding="utf-8").read().splitlines() if line]
with tempfile.NamedTemporaryFile("w", suffix=".inputrc") as rc:
    rc.write("set enable-bracketed-paste off\nset bell-style none\nset page-completions off\nset completion-query-items 100000\n")
    rc.flush()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="dumb", INPUTRC=rc.name, PSQL_HISTORY="/dev/null", PAGER="cat", COLUMNS="1000")
        os.execvp("psql", ["psql", "-X", "-q"])
    typed = "BEGIN;\n" + "".join(line + "\t\x01\\echo '[\x05]'\n" for line in lines) + "\\echo [state: :SQLSTATE]\nSELECT '[alive]';\n\\q\n"
    os.write(terminal, typed.encode())
    out = b""
    while True:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # what a terminal says at its end
            break
        if not read:
            break
        out += read
    os.waitpid(pid, 0)
for line in out.decode(errors="replace").replace("\r", "\n").split("\n"):
    line = line.strip()
    if line.startswith("[") and line.endswith("]"):
        print(line)
