// Topic filters as a tree: which of many filters a topic matches (MQTT 5.0 §4.7), without looking at each.

interface Node<Value> {
  readonly children: Map<string, Node<Value>>;
  values: Set<Value> | undefined;
}

export class TopicTree<Value> {
  readonly #root: Node<Value> = { children: new Map(), values: undefined };

  add(filter: string, value: Value): void {
    let node = this.#root;
    for (const level of filter.split('/')) {
      let next = node.children.get(level);
      if (next === undefined) {
        next = { children: new Map(), values: undefined };
        node.children.set(level, next);
      }
      node = next;
    }
    node.values ??= new Set();
    node.values.add(value);
  }

  remove(filter: string, value: Value): void {
    removeBelow(this.#root, filter.split('/'), 0, value);
  }

  /** Every value whose filter the topic matches; a value that stands under two such filters comes twice. */
  match(topic: string, visit: (value: Value) => void): void {
    const levels = topic.split('/');
    // A filter that begins with a wildcard does not match topics that begin with $ [MQTT-4.7.2-1].
    matchBelow(this.#root, { levels, skipWildcards: topic.startsWith('$'), visit }, 0);
  }
}

interface Search<Value> {
  readonly levels: readonly string[];
  readonly skipWildcards: boolean;
  readonly visit: (value: Value) => void;
}

function matchBelow<Value>(node: Node<Value>, search: Search<Value>, depth: number): void {
  const { levels, skipWildcards, visit } = search;
  const mayUseWildcards = depth > 0 || !skipWildcards;
  if (mayUseWildcards) {
    const rest = node.children.get('#')?.values;
    if (rest !== undefined) for (const value of rest) visit(value);
  }
  const level = levels[depth];
  if (level === undefined) {
    if (node.values !== undefined) for (const value of node.values) visit(value);
    return;
  }
  const exact = node.children.get(level);
  if (exact !== undefined) matchBelow(exact, search, depth + 1);
  const any = mayUseWildcards ? node.children.get('+') : undefined;
  if (any !== undefined) matchBelow(any, search, depth + 1);
}

/** @returns whether the node is empty now and can go */
function removeBelow<Value>(
  node: Node<Value>,
  levels: readonly string[],
  depth: number,
  value: Value,
): boolean {
  const level = levels[depth];
  if (level === undefined) {
    node.values?.delete(value);
    if (node.values?.size === 0) node.values = undefined;
  } else {
    const next = node.children.get(level);
    if (next === undefined) return false;
    if (removeBelow(next, levels, depth + 1, value)) node.children.delete(level);
  }
  return node.values === undefined && node.children.size === 0;
}

/** Whether one filter matches one topic. */
export function matches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return true;
    if (index >= levels.length || (level !== '+' && level !== levels[index])) return false;
  }
  return wanted.length === levels.length;
}
