// DER as a tree that can be bent and written again with right lengths, so that what is wrong is behind the first look.
import type { Dice } from './dice.ts';

interface Primitive {
  tag: number;
  content: Buffer;
}

interface Constructed {
  tag: number;
  children: Node[];
}

export type Node = Primitive | Constructed;

const constructedBit = 0x20;
const deepest = 20;
/** Bytes; larger elements are doubled at most, or three repetitions of each other make megabytes. */
const largestRepeated = 500;

/** Only of bytes that are known to be good DER with tags of one octet: certificates, CSRs and OCSP requests of our own. */
export function readTree(der: Buffer): Node {
  const [node, end] = readNode(der, 0, 0);
  if (end !== der.length) throw new Error(`${der.length - end} bytes behind the DER element`);
  return node;
}

function readNode(der: Buffer, start: number, depth: number): [Node, number] {
  const tag = der[start] ?? 0;
  let length = der[start + 1] ?? 0;
  let at = start + 2;
  if (length > 0x80) {
    const size = length - 0x80;
    length = der.readUIntBE(at, size);
    at += size;
  }
  const end = at + length;
  if (end > der.length) throw new Error('a DER element goes beyond the end');
  if ((tag & constructedBit) === 0 || depth > deepest) {
    return [{ tag, content: der.subarray(at, end) }, end];
  }
  const children: Node[] = [];
  while (at < end) {
    const [child, next] = readNode(der, at, depth + 1);
    children.push(child);
    at = next;
  }
  return [{ tag, children }, end];
}

export function writeTree(node: Node): Buffer {
  const content = 'children' in node ? Buffer.concat(node.children.map(writeTree)) : node.content;
  return element(node.tag, content);
}

export function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const size = length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
  const header = Buffer.alloc(2 + size);
  header[0] = tag;
  header[1] = 0x80 | size;
  header.writeUIntBE(length, 2, size);
  return Buffer.concat([header, content]);
}

const names = ['constructor', '__proto__', 'toString', '', '../../x', 'a\0b', '\u001b[31m', '$SYS'];

const bends: readonly ((node: Node, parent: Constructed, dice: Dice) => void)[] = [
  (node, _parent, dice) => {
    node.tag = dice.pick([
      0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x1e, 0x30, 0x31, 0xa0, 0x80,
    ]);
  },
  (node, parent) => {
    parent.children.splice(parent.children.indexOf(node), 1);
  },
  (node, parent, dice) => {
    const most = writeTree(node).length < largestRepeated ? 50 : 2;
    for (let copies = dice.pick([1, 2, most]); copies > 0; copies -= 1) parent.children.push(node);
  },
  (node, parent, dice) => {
    parent.children.reverse();
    if (dice.happens(0.5)) parent.children.push(node);
  },
  (node, _parent, dice) => {
    if ('content' in node) node.content = dice.bytes(dice.pick([0, 1, 2, 20, 21, 40]));
  },
  (node) => {
    // Negative, where it is a number.
    if ('content' in node)
      node.content = Buffer.concat([Buffer.of(0x80), node.content.subarray(1)]);
  },
  (node, _parent, dice) => {
    if (!('content' in node)) return;
    node.content = Buffer.concat([Buffer.of(0x7f), dice.bytes(dice.pick([19, 20, 21, 200, 5000]))]);
  },
  (node, _parent, dice) => {
    if ('content' in node) node.content = Buffer.from(dice.pick(names));
  },
  (node, _parent, dice) => {
    if (!('content' in node)) return;
    const at = dice.below(Math.max(1, node.content.length));
    const changed = Buffer.from(node.content);
    if (changed.length > 0) changed[at] = (changed[at] ?? 0) ^ (1 << dice.below(8));
    node.content = changed;
  },
];

/** Bends one to three nodes below `root`, the first `kept` children of which stay as they are. */
export function bendTree(root: Constructed, dice: Dice, isKept: (node: Node) => boolean): void {
  for (let bend = 1 + dice.below(3); bend > 0; bend -= 1) {
    const places: [Node, Constructed][] = [];
    const collect = (parent: Constructed): void => {
      for (const child of parent.children) {
        if (isKept(child)) continue;
        places.push([child, parent]);
        if ('children' in child) collect(child);
      }
    };
    collect(root);
    if (places.length === 0) return;
    const [node, parent] = dice.pick(places);
    dice.pick(bends)(node, parent, dice);
  }
}
