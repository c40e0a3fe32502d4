// Topic filters as a tree: which of many filters a topic matches (MQTT 5.0 §4.7), without looking at each.

interface Node<Value> {
  /** By level; `+` and `#` have places of their own, for every message looks there. */
  readonly children: Map<string, Node<Value>>;
  anyLevel: Node<Value> | undefined;
  anyRest: Node<Value> | undefined;
  values: Set<Value> | undefined;
}

const createNode = <Value>(): Node<Value> => ({
  children: new Map(),
  anyLevel: undefined,
  anyRest: undefined,
  values: undefined,
});

const childOf = <Value>(node: Node<Value>, level: string): Node<Value> | undefined => {
  if (level === '+') return node.anyLevel;
  return level === '#' ? node.anyRest : node.children.get(level);
};

function putChild<Value>(node: Node<Value>, level: string, child: Node<Value> | undefined): void {
  if (level === '+') node.anyLevel = child;
  else if (level === '#') node.anyRest = child;
  else if (child === undefined) node.children.delete(level);
  else node.children.set(level, child);
}

const isEmpty = <Value>(node: Node<Value>): boolean =>
  node.values === undefined &&
  node.anyLevel === undefined &&
  node.anyRest === undefined &&
  node.children.size === 0;

export class TopicTree<Value> {
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
    removeBelow(this.#root, filter.split('/'), 0, value);
  }

  /** Every value whose filter the topic matches; a value that stands under two such filters comes twice. */
  match(topic: string, visit: (value: Value) => void): void {
    if (isEmpty(this.#root)) return;
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
    const rest = node.anyRest?.values;
    if (rest !== undefined) for (const value of rest) visit(value);
  }
  const level = levels[depth];
  if (level === undefined) {
    if (node.values !== undefined) for (const value of node.values) visit(value);
    return;
  }
  const exact = node.children.get(level);
  if (exact !== undefined) matchBelow(exact, search, depth + 1);
  if (mayUseWildcards && node.anyLevel !== undefined) matchBelow(node.anyLevel, search, depth + 1);
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
    const next = childOf(node, level);
    if (next === undefined) return false;
    if (removeBelow(next, levels, depth + 1, value)) putChild(node, level, undefined);
  }
  return isEmpty(node);
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
