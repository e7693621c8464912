#!/usr/bin/python3
"""Checks the shape of the source (docs/architecture.md): who may include whom, which folders are
pure, how long functions and files may get, and that each test is listed in tests/meson.build.

    check_layers.py [ROOT]        one line per fault; exit 1 if there is any
    check_layers.py --self-test   plants each kind of fault in a scratch tree and looks for it

A folder of src/ has a level. A file includes its own folder or a lower level, never a sibling of
its own level and never a higher one. codec and proto are bytes in, facts out: no header and no
call that reaches a socket, a file, a clock, a thread or the log, not even by way of base.
Function lengths rely on the project's layout: the brace that opens a function stands alone in the
first column, and so does the one that closes it.
"""
import re
import sys
import tempfile
from pathlib import Path

LEVELS = {"base": 0, "codec": 1, "proto": 1, "net": 1, "stream": 2, "sink": 3, "source": 3, "app": 4, "cli": 5}
PURE = {"codec", "proto"}
IMPURE_BASE = {"base/log.h", "base/file.h", "base/clock.h"}
IMPURE_SYSTEM = re.compile(
    r"(sys/(socket|stat|epoll|eventfd|mman|time|wait|ioctl|file|sendfile|resource|select|timerfd|un|syscall)"
    r"|netinet/.*|arpa/inet|netdb|net/.*|unistd|fcntl|dirent|poll|signal|spawn|pthread|threads|semaphore|sched"
    r"|syslog|termios|uv|histedit|editline/.*|openssl/(ssl|bio|rand))\.h$")
# What is left of <stdio.h>, <stdlib.h> and <time.h> once these are out is formatting, memory and types.
IMPURE_CALL = re.compile(
    r"\b(f?printf|vf?printf|puts|fputs|putchar|fputc|perror|fopen|fdopen|freopen|tmpfile|fclose|fread|fwrite|fflush"
    r"|fgets|getline|scanf|fscanf|remove|rename|system|popen|getenv|setenv|exit|time|clock|clock_gettime|gettimeofday"
    r"|nanosleep|localtime|localtime_r|mktime|rand|random|arc4random|getrandom)\s*\(|\b(FILE|stdin|stdout|stderr)\b")
FUNCTION_LINES = 100
FILE_LINES = 800

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def blank(text, keep_strings):
    """The text with comments (and strings, unless kept) blanked out, line for line."""
    def cover(match):
        if keep_strings and match.group()[0] in "\"'":
            return match.group()
        return re.sub(r"[^\n]", " ", match.group())
    return NOT_CODE.sub(cover, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        self.faults = []
        self.includes = {}  # path in src -> [(line, quoted?, name)]
        self.texts = {}
        self.lines = {}

    def fault(self, path, line, what):
        self.faults.append(f"{path}:{line}: {what}")

    def read(self):
        for folder in ("src", "tests", "bench"):
            for path in sorted((self.root / folder).rglob("*.[ch]")):
                name = path.relative_to(self.root).as_posix()
                if "/node_modules/" in name:
                    continue
                text = path.read_text(encoding="utf-8", errors="replace")
                self.lines[name] = text.count("\n")
                self.texts[name] = blank(text, keep_strings=False)
                if folder == "src":
                    code = blank(text, keep_strings=True)
                    self.includes[name[4:]] = [(line_of(code, m.start(2)), m.group(1) == '"', m.group(2))
                                               for m in INCLUDE.finditer(code)]

    def check(self):
        self.read()
        for path, includes in self.includes.items():
            self.check_includes(path, includes)
            if path.split("/")[0] in PURE:
                self.check_pure(path)
        for path, text in self.texts.items():
            self.check_lengths(path, text)
            self.check_listed(path)
        return self.faults

    def check_listed(self, path):
        """A test that the build does not know is never run."""
        match = re.fullmatch(r"tests/(?:unit/(test_\w+)|fuzz/(fuzz_\w+))\.c", path)
        listed = self.root / "tests" / "meson.build"
        if match and f"'{match[1] or match[2]}'" not in (listed.read_text() if listed.exists() else ""):
            self.fault(path, 1, "tests/meson.build does not list it, so it does not run")

    def check_includes(self, path, includes):
        folder = path.split("/")[0]
        if "/" not in path or folder not in LEVELS:
            self.fault(f"src/{path}", 1, f"{folder} is no folder of the layers: {', '.join(LEVELS)}")
            return
        for line, quoted, name in includes:
            target = name.split("/")[0]
            if not quoted:
                if name in self.includes:
                    self.fault(f"src/{path}", line, f"<{name}> is ours: write it with quotes")
            elif "/" not in name or target not in LEVELS:
                self.fault(f"src/{path}", line, f'"{name}" names no folder of the layers')
            elif name not in self.includes:
                self.fault(f"src/{path}", line, f'"{name}" does not exist')
            elif target != folder and LEVELS[target] >= LEVELS[folder]:
                kind = "a sibling of" if LEVELS[target] == LEVELS[folder] else "above"
                self.fault(f"src/{path}", line, f'"{name}": {target} is {kind} {folder}')

    def check_pure(self, path):
        for line, quoted, name in self.includes[path]:
            if not quoted and IMPURE_SYSTEM.match(name):
                self.fault(f"src/{path}", line, f"{path.split('/')[0]} is pure: no <{name}>")
            if quoted:
                for found in sorted(self.reach(name) & IMPURE_BASE):
                    self.fault(f"src/{path}", line, f'{path.split("/")[0]} is pure: "{name}" brings in "{found}"')
        text = self.texts[f"src/{path}"]
        for match in IMPURE_CALL.finditer(text):
            what = match.group(1) or match.group(2)
            before = text[:match.start()].rstrip(" ")
            if not before.endswith((".", "->")):  # a member of that name is no call of the library's
                self.fault(f"src/{path}", line_of(text, match.start()), f"{path.split('/')[0]} is pure: no {what}")

    def reach(self, name):
        """The header and all that it includes."""
        seen, left = set(), [name]
        while left:
            name = left.pop()
            if name not in seen:
                seen.add(name)
                left += [inner for _, quoted, inner in self.includes.get(name, ()) if quoted]
        return seen

    def check_lengths(self, path, text):
        if self.lines[path] > FILE_LINES:
            self.fault(path, self.lines[path], f"{self.lines[path]} lines: a file has at most {FILE_LINES}")
        begin = None
        for number, line in enumerate(text.split("\n"), 1):
            line = line.rstrip()
            if re.match(r"[A-Za-z_].*\)\s*\{$", line):
                self.fault(path, number, "the opening brace of a function stands on its own line")
            if line == "{":
                begin = number
            elif line == "}" and begin is not None:
                if number - begin + 1 > FUNCTION_LINES:
                    self.fault(path, begin, f"function of {number - begin + 1} lines: at most {FUNCTION_LINES}")
                begin = None


# Each case: files to add to the good tree, and what one line of the verdict must contain (None: no fault).
GOOD = {
    "base/log.h": "void ch_log(void);\n",
    "base/clock.h": "#include <time.h>\n",
    "base/bytes.h": "#include <stdint.h>\n",
    "base/relay.h": '#include "base/log.h"\n',
    "codec/h264.h": '#include "base/bytes.h"\n',
    "proto/ws.h": "#include <stddef.h>\n",
    "stream/frame.h": '#include "codec/h264.h"\n#include "base/log.h"\n',
    "sink/recorder.h": '#include "stream/frame.h"\n',
    "source/child.h": '#include "stream/frame.h"\n',
    "app/hub.h": '#include "sink/recorder.h"\n#include "source/child.h"\n',
    "cli/main.c": '#include "app/hub.h"\nint main(void)\n{\n    return 0;\n}\n',
}
CASES = [
    ("the good tree", {}, None),
    ("a test that is not listed", {"../tests/unit/test_a.c": "int a;\n"}, "does not list it"),
    ("a helper of tests", {"../tests/unit/maker.h": "int a;\n"}, None),
    ("own folder", {"codec/a.c": '#include "codec/h264.h"\n'}, None),
    ("upward", {"stream/a.c": '#include "app/hub.h"\n'}, "app is above stream"),
    ("upward, blanks and a comment", {"base/a.c": '  #  include  "stream/frame.h" // why\n'}, "stream is above base"),
    ("sibling 1", {"codec/a.c": '#include "proto/ws.h"\n'}, "proto is a sibling of codec"),
    ("sibling 3", {"sink/a.c": '#include "source/child.h"\n'}, "source is a sibling of sink"),
    ("no folder", {"cli/a.c": '#include "hub.h"\n'}, "names no folder"),
    ("unknown folder named", {"cli/a.c": '#include "util/hub.h"\n'}, "names no folder"),
    ("unknown folder used", {"util/a.c": "int a;\n"}, "no folder of the layers"),
    ("file beside the folders", {"a.c": "int a;\n"}, "no folder of the layers"),
    ("missing header", {"cli/a.c": '#include "app/none.h"\n'}, "does not exist"),
    ("angle brackets", {"base/a.c": "#include <app/hub.h>\n"}, "write it with quotes"),
    ("commented out", {"base/a.c": '// #include "app/hub.h"\n/*\n#include "app/hub.h"\n*/\n'}, None),
    ("pure: log", {"codec/a.c": '#include "base/log.h"\n'}, 'brings in "base/log.h"'),
    ("pure: clock", {"proto/a.c": '#include "base/clock.h"\n'}, 'brings in "base/clock.h"'),
    ("pure: log by way of base", {"proto/a.c": '#include "base/relay.h"\n'}, '"base/relay.h" brings in "base/log.h"'),
    ("pure: socket", {"proto/a.c": "#include <sys/socket.h>\n"}, "no <sys/socket.h>"),
    ("pure: loop", {"proto/a.c": "#include <uv.h>\n"}, "no <uv.h>"),
    ("pure: thread", {"codec/a.c": "#include <pthread.h>\n"}, "no <pthread.h>"),
    ("pure: socket elsewhere", {"net/a.c": "#include <sys/socket.h>\n"}, None),
    ("pure: formatting", {"codec/a.c": "#include <stdio.h>\nint f(char *b) { return snprintf(b, 9, \"printf(\"); }\n"}, None),
    ("pure: printing", {"codec/a.c": "int f(void) { return printf (\"x\"); }\n"}, "no printf"),
    ("pure: stream", {"codec/a.c": "void f(FILE *out);\n"}, "no FILE"),
    ("pure: a clock read", {"proto/a.c": "long f(void) { return time(0); }\n"}, "no time"),
    ("pure: types of time", {"proto/a.c": "#include <time.h>\ntime_t f(struct s *s) { return s->time(1); }\n"}, None),
    ("function of 100 lines", {"app/a.c": "int f(void)\n{\n" + "    a;\n" * 98 + "}\n"}, None),
    ("function of 101 lines", {"app/a.c": "int f(void)\n{\n" + "    a;\n" * 99 + "}\n"}, "function of 101 lines"),
    ("brace on the function's line", {"app/a.c": "int f(void) {\n}\n"}, "stands on its own line"),
    ("file of 800 lines", {"app/a.c": "int a;\n" * 800}, None),
    ("file of 801 lines", {"app/a.c": "int a;\n" * 801}, "801 lines"),
]


def run_case(files):
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in files.items():
            path = Path(scratch) / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Tree(scratch).check()


def self_test():
    failed = 0
    for name, files, expected in CASES:
        faults = run_case({**GOOD, **files})
        good = not faults if expected is None else len(faults) == 1 and expected in faults[0]
        if not good:
            failed += 1
            print(f"self-test '{name}': expected {expected or 'no fault'}, got {faults or 'none'}")
    print(f"check_layers self-test: {len(CASES) - failed} of {len(CASES)} cases as expected")
    return 1 if failed else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2]
    tree = Tree(root)
    faults = tree.check()
    for fault in faults:
        print(fault)
    edges = sum(quoted for includes in tree.includes.values() for _, quoted, _ in includes)
    print(f"layers: {len(tree.lines)} files, {edges} includes between them, {len(faults)} faults")
    if not tree.includes:
        print(f"no sources under {root / 'src'}")
        return 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
