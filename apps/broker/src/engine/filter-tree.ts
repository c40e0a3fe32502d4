// Topic filters with wildcards as a tree of levels: which of them a topic matches (MQTT 5 §4.7), without looking at each. Nothing here recurses.

interface Node<Value> {
  children: Map<string, Node<Value>> | undefined;
  /** `+` and `#` have places of their own, for every message looks there. */
  anyLevel: Node<Value> | undefined;
  anyRest: Node<Value> | undefined;
  values: Set<Value> | undefined;
}

const createNode = <Value>(): Node<Value> => ({
  children: undefined,
  anyLevel: undefined,
  anyRest: undefined,
  values: undefined,
});

const childOf = <Value>(node: Node<Value>, level: string): Node<Value> | undefined => {
  if (level === '+') return node.anyLevel;
  return level === '#' ? node.anyRest : node.children?.get(level);
};

function putChild<Value>(node: Node<Value>, level: string, child: Node<Value> | undefined): void {
  if (level === '+') node.anyLevel = child;
  else if (level === '#') node.anyRest = child;
  else if (child !== undefined) (node.children ??= new Map()).set(level, child);
  else if (node.children?.delete(level) === true && node.children.size === 0) {
    node.children = undefined;
  }
}

const isEmpty = <Value>(node: Node<Value>): boolean =>
  node.values === undefined &&
  node.anyLevel === undefined &&
  node.anyRest === undefined &&
  node.children === undefined;

export class FilterTree<Value> {
  readonly #root = createNode<Value>();

  add(filter: string, value: Value): void {
    let node = this.#root;
    for (const level of filter.split('/')) {
      let next = childOf(node, level);
      if (next === undefined) {
        next = createNode();
        putChild(node, level, next);
      }
      node = next;
    }
    node.values ??= new Set();
    node.values.add(value);
  }

  remove(filter: string, value: Value): void {
    const levels = filter.split('/');
    const path = [this.#root];
    for (const level of levels) {
      const next = childOf(path.at(-1) as Node<Value>, level);
      if (next === undefined) return;
      path.push(next);
    }
    const last = path.at(-1) as Node<Value>;
    last.values?.delete(value);
    if (last.values?.size === 0) last.values = undefined;
    for (let depth = levels.length; depth > 0; depth -= 1) {
      if (!isEmpty(path[depth] as Node<Value>)) return;
      putChild(path[depth - 1] as Node<Value>, levels[depth - 1] as string, undefined);
    }
  }

  /**
   * Every value whose filter the topic matches; a value that stands under two such filters comes twice.
   * @returns nodes looked at: what it has cost
   */
  match(topic: string, visit: (value: Value) => void): number {
    if (isEmpty(this.#root)) return 0;
    let nodes = [this.#root];
    let looked = 0;
    // A filter that begins with a wildcard does not match topics that begin with $ [MQTT-4.7.2-1].
    let mayUseWildcards = !topic.startsWith('$');
    for (const level of topic.split('/')) {
      const below: Node<Value>[] = [];
      for (const node of nodes) {
        if (mayUseWildcards) {
          if (node.anyRest?.values !== undefined) node.anyRest.values.forEach(visit);
          if (node.anyLevel !== undefined) below.push(node.anyLevel);
        }
        const exact = node.children?.get(level);
        if (exact !== undefined) below.push(exact);
      }
      looked += nodes.length;
      nodes = below;
      if (nodes.length === 0) return looked;
      mayUseWildcards = true;
    }
    for (const { values, anyRest } of nodes) {
      values?.forEach(visit);
      // `a/#` matches `a` too (MQTT 5 §4.7.1.2).
      anyRest?.values?.forEach(visit);
    }
    return looked + nodes.length;
  }
}
