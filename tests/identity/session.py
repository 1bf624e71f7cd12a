"""One comparison: the objects prepared, laid out, linked by the example and by another linker, and compared."""

import collections

import compare
import crel as compressed
import differences
import elf
import kinds
import layout as layouts
import linkers
import rel as in_place


def copies_of(objects, rel, crel):
    """Files that have the relocations of the objects in other forms, and how many addends in place are not 0."""
    copies, converted = {}, 0
    for object in objects:
        copy = elf.Elf(object.path)
        converted += in_place.convert(copy) if rel else 0
        if crel:
            compressed.convert(copy)
        if rel or crel:
            copies[object.path] = object.path + ".copy.o"
            copy.write(copies[object.path])
    return copies, converted


class Session:
    """What was compared, added up, and every difference that nothing explains."""

    def __init__(self, example, linker, assembler="clang-19", shared=False):
        self.example, self.linker, self.assembler, self.shared = example, linker, assembler, shared
        self.errors, self.left_out = [], collections.defaultdict(list)
        # Relocations of each kind that both link, and that both refuse; differences by their names.
        self.counts, self.refused, self.explained = collections.Counter(), collections.Counter(), collections.Counter()
        self.objects = self.sections = self.size = self.held = self.converted = 0

    def run(self, paths, choose, folder, is_big=False, rel=False, crel=False):
        """`choose` gives the sections their addresses. The example gets copies, with `rel` of addends in place, with `crel`
        compressed, which ld.lld reads too."""
        objects, left_out = layouts.prepare(paths, folder, self.assembler, is_big, self.linker)
        for reason, names in left_out.items():
            self.left_out[reason] += names
        layout = layouts.Layout(objects, choose)
        self.objects += len(objects) - 1
        self.sections += len(layout.offsets)
        while True:
            copies, converted = copies_of(objects[:-1], rel, crel)
            mine = linkers.ours(self.example, layout, folder, copies)
            given = copies if crel and not rel and self.linker == "lld" else {}
            other = linkers.theirs(self.linker, layout, folder, given, is_big, self.shared)
            self.errors += [f"here: {line}" for line in mine.others] + [f"there: {line}" for line in other.others]
            if mine.image and other.image:
                break
            if mine.others or other.others or not self._take_out(layout, mine.refused, other.refused):
                return
        compared = compare.Comparison(layout, mine.image, other.image, self.linker, self.shared)
        self.converted += converted
        self.counts += compared.counts
        self.explained += compared.explained
        self.errors += compared.errors
        self.size += compared.size
        self.held += compared.held

    def _take_out(self, layout, here, there):
        """Judges what is refused, and takes it out of the objects; whether there was anything to be taken."""
        taken = 0
        for object in layout.objects:
            for entry in list(object.relocations()):
                place = (object.path, entry.of.name, entry.offset)
                if entry.code == 0 or place not in here and place not in there:
                    continue
                row = kinds.BY_CODE[entry.code]
                case = differences.Case(row, layout, object, entry, self.shared)
                if place in here and place in there:
                    self.refused[entry.code] += 1
                    if not case.outside and not case.crooked and not case.at_edge:
                        self.errors.append(f"refused without reason, X = {case.x:#x}: {here[place]}")
                else:
                    name = differences.name_of_refusal(case, self.linker, place in here)
                    if name:
                        self.explained[name] += 1
                    else:
                        what = f"here: {here[place]}" if place in here else f"there: {there[place]}"
                        self.errors.append(f"{':'.join(map(str, place))}: {row.name}, X = {case.x:#x}, is refused only {what}")
                object.neutralise(entry)
                taken += 1
            object.write(object.path)
        if not taken:
            self.errors.append(f"refused nowhere: {list(here.items())[:3]} {list(there.items())[:3]}")
        return taken

    def report(self):
        """Prints what was compared, and answers whether every difference is explained."""
        print(f"{self.counts.total():8}  relocations of {len(self.counts)} kinds, {self.held} slots, in {self.objects} objects, "
              f"{self.sections} sections, {self.size} bytes; {self.refused.total()} refused by both")
        if self.converted:
            print(f"{self.converted:8}  implicit addends that are not 0")
        for name, count in sorted(self.explained.items(), key=str):
            print(f"{count:8}  differences by name: {name}")
        for reason, names in sorted(self.left_out.items()):
            print(f"left out: {len(names)} objects for {reason}: {' '.join(names)}")
        for error in self.errors:
            print("error:", error)
        return not self.errors
