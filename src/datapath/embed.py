"""Writes a BPF object as a C array: embed.py NAME IN OUT."""
import sys

name, source, target = sys.argv[1:]
data = open(source, "rb").read()
with open(target, "w") as out:
    out.write(f"/* Generated from {name}.bpf.c by embed.py. */\n")
    out.write(f"static const unsigned char {name}_object[] __attribute__((aligned(8))) = {{\n")
    for i in range(0, len(data), 24):
        out.write(",".join(str(b) for b in data[i : i + 24]) + ",\n")
    out.write("};\n")
