// Topic aliases in both directions (MQTT 5 §3.3.2.3.4).

/** Those a client sets: numbers for topics of its own. */
export class IncomingAliases {
  readonly #topics = new Map<number, string>();
  /** UTF-16 units of all topics together. */
  length = 0;

  set(number: number, topic: string): void {
    this.length += topic.length - (this.#topics.get(number)?.length ?? 0);
    this.#topics.set(number, topic);
  }

  find(number: number): string | undefined {
    return this.#topics.get(number);
  }
}

/** Those we set, as far as the client takes any: the first topics it is sent keep theirs. */
export class OutgoingAliases {
  readonly #maximum: number;
  readonly #numbers = new Map<string, number>();

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** For a PUBLISH that is written now. Undefined: the topic itself is shorter, or all aliases are taken. */
  use(topic: string): { readonly number: number; readonly isNew: boolean } | undefined {
    const known = this.#numbers.get(topic);
    if (known !== undefined) return { number: known, isNew: false };
    if (this.#numbers.size >= this.#maximum || topic.length < shortestTopic) return undefined;
    const number = this.#numbers.size + 1;
    this.#numbers.set(topic, number);
    return { number, isNew: true };
  }
}

/** The alias itself takes three bytes. */
const shortestTopic = 4;
