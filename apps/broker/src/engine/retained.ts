// Retained messages as a tree of topic levels, so that a subscription finds its own without looking at all of them.
import type { Message } from './message.ts';

interface Node {
  readonly children: Map<string, Node>;
  message: Message | undefined;
}

export class Retained {
  readonly #root: Node = { children: new Map(), message: undefined };
  #size = 0;

  get size(): number {
    return this.#size;
  }

  set(message: Message): void {
    let node = this.#root;
    for (const level of message.topic.split('/')) {
      let next = node.children.get(level);
      if (next === undefined) {
        next = { children: new Map(), message: undefined };
        node.children.set(level, next);
      }
      node = next;
    }
    if (node.message === undefined) this.#size += 1;
    node.message = message;
  }

  delete(topic: string): boolean {
    const before = this.#size;
    this.#deleteBelow(this.#root, topic.split('/'), 0);
    return this.#size < before;
  }

  matching(filter: string): Message[] {
    const found: Message[] = [];
    collect(this.#root, filter.split('/'), 0, found);
    return found;
  }

  all(): Message[] {
    const found: Message[] = [];
    collectAll(this.#root, found);
    return found;
  }

  #deleteBelow(node: Node, levels: readonly string[], depth: number): boolean {
    const level = levels[depth];
    if (level === undefined) {
      if (node.message !== undefined) this.#size -= 1;
      node.message = undefined;
    } else {
      const next = node.children.get(level);
      if (next === undefined) return false;
      if (this.#deleteBelow(next, levels, depth + 1)) node.children.delete(level);
    }
    return node.message === undefined && node.children.size === 0;
  }
}

function collect(node: Node, wanted: readonly string[], depth: number, found: Message[]): void {
  const level = wanted[depth];
  if (level === undefined) {
    if (node.message !== undefined) found.push(node.message);
    return;
  }
  if (level === '#') {
    if (node.message !== undefined) found.push(node.message);
    for (const [name, child] of node.children) {
      if (depth > 0 || !name.startsWith('$')) collectAll(child, found);
    }
    return;
  }
  if (level === '+') {
    for (const [name, child] of node.children) {
      if (depth > 0 || !name.startsWith('$')) collect(child, wanted, depth + 1, found);
    }
    return;
  }
  const child = node.children.get(level);
  if (child !== undefined) collect(child, wanted, depth + 1, found);
}

function collectAll(node: Node, found: Message[]): void {
  if (node.message !== undefined) found.push(node.message);
  for (const child of node.children.values()) collectAll(child, found);
}
