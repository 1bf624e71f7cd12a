"""C programs at random, for compilers to make references of: what they hold, and how they are compiled."""

import os
import subprocess

TYPES = ["signed char", "short", "int", "long", "unsigned", "float", "double", "__int128"]
# Whole numbers, which switches and indices take.
WHOLE = TYPES[:5]
CLANG = ["clang-19", "--target=aarch64-linux-gnu"]
GCC = ["aarch64-linux-gnu-gcc"]
ALWAYS = ["-c", "-w", "-ffreestanding", "-fno-asynchronous-unwind-tables", "-fno-stack-protector"]


class Program:
    """Some files of C that refer to each other, all compiled in one way."""

    def __init__(self, random, linker, shared, is_big):
        self.random, self.shared = random, shared
        self.count = random.randint(1, 3)
        self.model = random.choice(["tiny", "small", "small", "large"])
        self.command = self._compiler(linker, is_big)
        # Name, type, elements, file, whether other files see it, whether it is a variable of each thread.
        self.variables = []
        for file in range(self.count):
            for number in range(random.randint(4, 10)):
                self.variables.append((f"v{file}_{number}", random.choice(TYPES), random.choice([1, 1, 2, 5, 300]), file,
                                       random.random() < 0.6, random.random() < 0.2))
        self.functions = [(f"f{file}_{number}", file, random.random() < 0.7)
                          for file in range(self.count) for number in range(random.randint(2, 6))]
        # Text of a tiny program is near its data.
        self.is_tight = self.model == "tiny"

    def _compiler(self, linker, is_big):
        pick = self.random.choice
        compiler = pick([CLANG, GCC])
        options = [pick(["-O0", "-O1", "-O2", "-Os"]), f"-mcmodel={self.model}"]
        position = pick(["-fPIC", "-fpic"]) if self.shared else pick(["-fno-pic", "-fno-pic", "-fPIE", "-fPIC", "-fpic"])
        if self.model == "large":
            # Neither compiler has the large model for code that may lie anywhere, and it has no use in a shared image.
            position = "-fno-pic"
            if self.shared:
                self.model, position = "small", "-fPIC"
                options[-1] = "-mcmodel=small"
        options.append(position)
        if compiler is GCC:
            # Calls of __tls_get_addr ld.lld does not know, and GNU ld leaves alone only in a shared image.
            options.append("-mtls-dialect=" + (pick(["trad", "desc"]) if linker == "gnu" and self.shared else "desc"))
        if compiler is CLANG and self.model == "large":
            # It finds variables no other way there.
            options.append("-ftls-model=local-exec")
        elif self.random.random() < 0.3:
            options.append("-ftls-model=" + pick(["global-dynamic", "local-dynamic", "initial-exec"] + ["local-exec"] * (not self.shared)))
        if self.random.random() < 0.5:
            options += ["-ffunction-sections", "-fdata-sections"]
        if self.random.random() < 0.2:
            options.append("-fno-jump-tables")
        return compiler + ALWAYS + options + ["-mbig-endian"] * is_big

    def write(self, folder):
        """Writes and compiles the files; the paths of the objects."""
        paths = []
        for file in range(self.count):
            source, object = (os.path.join(folder, f"program{file}.{end}") for end in "co")
            with open(source, "w") as text:
                text.write(self._file(file))
            subprocess.run([*self.command, source, "-o", object], check=True)
            paths.append(object)
        return paths

    def _file(self, file):
        lines = ["extern int maybe __attribute__((weak));"]
        for name, type, size, of, is_global, is_thread in self.variables:
            if of != file and is_global:
                lines.append(f"extern {'_Thread_local ' * is_thread}{type} {name}[{size}];")
        for name, of, is_global in self.functions:
            if of == file or is_global:
                hidden = ' __attribute__((visibility("hidden")))' * (is_global and hash_of(name) % 4 == 0)
                lines.append(f"{'static ' * (not is_global)}long {name}(long a, double b){hidden};")
        own = [variable for variable in self.variables if variable[3] == file]
        lines += [self._definition(*variable) for variable in own]
        for name, *_ in own:
            lines += self._table(file, f"table_{name}") if self.random.random() < 0.5 else []
        for name, of, is_global in self.functions:
            if of == file:
                lines += self._function(file, name, is_global)
        return "\n".join(lines) + "\n"

    def _definition(self, name, type, size, _, is_global, is_thread):
        scope = ("" if is_global else "static ") + ("_Thread_local " if is_thread else "")
        some = ", ".join(str(self.random.randint(0, 100)) for _ in range(min(size, 5)))
        return f"{scope}{type} {name}[{size}]{self.random.choice(['', '', ' = {1}', f' = {{{some}}}'])};"

    def _table(self, file, name):
        pick = self.random.choice
        targets = ", ".join(self._address(file) for _ in range(self.random.randint(1, 6)))
        return [f"{pick(['', 'static '])}void *{pick(['', 'const '])}{name}[] = {{{targets}}};",
                f"void *volatile *through_{name} = (void *volatile *)&{name}[0];"]

    def _seen(self, file, is_thread=None, types=TYPES):
        return [variable for variable in self.variables if (variable[3] == file or variable[4]) and variable[1] in types
                and is_thread in (None, variable[5])]

    def _callee(self, file):
        return self.random.choice([name for name, of, is_global in self.functions if of == file or is_global])

    def _address(self, file):
        """The address of something that is there when the program starts."""
        seen = self._seen(file, is_thread=False)
        if not seen or self.random.random() < 0.3:
            return f"(void *)&{self._callee(file)}"
        name, _, size, *_ = self.random.choice(seen)
        return f"(void *)((char *)&{name}[{self.random.randrange(size)}] + {self.random.choice([0, 0, 3, 4096])})"

    def _function(self, file, name, is_global):
        lines = [f"{'static ' * (not is_global)}long {name}(long a, double b) {{", "    volatile long sum = a;"]
        for _ in range(self.random.randint(2, 9)):
            lines.append("    " + self._statement(file))
        ends = ["return sum;", f"return {self._callee(file)}(a - 1, b);", f"return (long){self._address(file)};"]
        return lines + ["    " + self.random.choice(ends), "}"]

    def _statement(self, file):
        pick = self.random.choice
        seen = self._seen(file)
        if not seen:
            return "sum += 1;"
        name, _, size, *_ = pick(seen)
        element = pick([f"{name}[{self.random.randrange(size)}]", f"{name}[(unsigned long)a % {size}]"])
        other, _, length, *_ = pick(seen)
        whole = self._seen(file, types=WHOLE)
        return pick([
            f"{element} += ({other}[{self.random.randrange(length)}] + 1);",
            f"{element} = b * {self.random.random() * 1000:.5f} + {self.random.randint(2, 1 << 40)};",
            f"if (a > {self.random.randint(0, 9)}) sum += {self._callee(file)}(a, {self.random.random():.6f});",
            f"for (long i = 0; i < a; i++) sum += {element} * i;",
            f"sum += (long)&{element};",
            f"sum += *(volatile char *)\"{'x' * self.random.randint(1, 20)}{self.random.randint(0, 99)}\";",
            "sum += (long)&maybe;",
            self._switch(file, whole),
            f"__builtin_memcpy({other}, {name}, sizeof {pick([name, other])});",
            f"sum += (a ? {self._callee(file)} : {self._callee(file)})(a, b);",
            f"sum += (long)({self._address(file)});",
        ])

    def _switch(self, file, whole):
        if not whole:
            return "sum -= 1;"
        cases = "".join(f" case {number}: sum += {self.random.choice(whole)[0]}[0]; break;" for number in range(self.random.randint(4, 9)))
        return f"switch (a) {{{cases} default: sum = {self._callee(file)}(a, b); }}"


def hash_of(name):
    """A number that is the same in every file and every run."""
    return sum(name.encode())
