// Retained messages as a tree of topic levels, so that a subscription finds its own without looking at all of them. Nothing here recurses.
import type { Account } from './account.ts';
import type { Message } from './message.ts';

export interface RetainedMessage {
  readonly message: Message;
  /** Who published it and pays for it; the broker's own belong to nobody. */
  readonly account: Account | undefined;
  readonly bytes: number;
}

interface Node {
  children: Map<string, Node> | undefined;
  retained: RetainedMessage | undefined;
}

export class Retained {
  readonly #root: Node = { children: undefined, retained: undefined };
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(topic: string): RetainedMessage | undefined {
    let node: Node | undefined = this.#root;
    for (const level of topic.split('/')) {
      node = node.children?.get(level);
      if (node === undefined) return undefined;
    }
    return node.retained;
  }

  set(retained: RetainedMessage): void {
    let node = this.#root;
    for (const level of retained.message.topic.split('/')) {
      let next = node.children?.get(level);
      if (next === undefined) {
        next = { children: undefined, retained: undefined };
        (node.children ??= new Map()).set(level, next);
      }
      node = next;
    }
    if (node.retained === undefined) this.#size += 1;
    node.retained = retained;
  }

  delete(topic: string): boolean {
    const levels = topic.split('/');
    const path = [this.#root];
    for (const level of levels) {
      const next = path.at(-1)?.children?.get(level);
      if (next === undefined) return false;
      path.push(next);
    }
    const last = path.at(-1) as Node;
    if (last.retained === undefined) return false;
    last.retained = undefined;
    this.#size -= 1;
    for (let depth = levels.length; depth > 0; depth -= 1) {
      const node = path[depth] as Node;
      if (node.retained !== undefined || node.children !== undefined) break;
      const above = path[depth - 1] as Node;
      above.children?.delete(levels[depth - 1] as string);
      if (above.children?.size === 0) above.children = undefined;
    }
    return true;
  }

  /** One after the other, as they are when they are come to: a slow reader misses none and gets none that is outdated. */
  *matching(filter: string): Generator<Message> {
    const wanted = filter.split('/');
    // How far down each is: the depth of the level that is looked for below it, which `#` does not move.
    const open: { readonly nodes: Iterator<Node>; readonly depth: number }[] = [
      { nodes: [this.#root].values(), depth: 0 },
    ];
    for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
      const next = last.nodes.next();
      if (next.done === true) {
        open.pop();
        continue;
      }
      const node = next.value;
      const { depth } = last;
      const level = wanted[depth];
      if ((level === undefined || level === '#') && node.retained !== undefined) {
        yield node.retained.message;
      }
      if (level === undefined || node.children === undefined) continue;
      if (level === '#') open.push({ nodes: this.#childrenOf(node), depth });
      else if (level === '+') open.push({ nodes: this.#childrenOf(node), depth: depth + 1 });
      else {
        const child = node.children.get(level);
        if (child !== undefined) open.push({ nodes: [child].values(), depth: depth + 1 });
      }
    }
  }

  *all(): Generator<RetainedMessage> {
    const open: Iterator<Node>[] = [[this.#root].values()];
    for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
      const next = last.next();
      if (next.done === true) {
        open.pop();
        continue;
      }
      const node = next.value;
      if (node.retained !== undefined) yield node.retained;
      if (node.children !== undefined) open.push(node.children.values());
    }
  }

  /** For a wildcard [MQTT-4.7.2-1]. */
  #childrenOf(node: Node): Iterator<Node> {
    const children = node.children ?? new Map<string, Node>();
    return node === this.#root ? withoutDollar(children) : children.values();
  }
}

function* withoutDollar(children: ReadonlyMap<string, Node>): Generator<Node> {
  for (const [name, child] of children) if (!name.startsWith('$')) yield child;
}
