// What a load process can be asked for: a name, what it takes, what it answers. All times are process.hrtime: one clock for every
// process of a machine.

export interface LoadCalls {
  /** Makes contexts for these devices, before any clock runs. */
  readonly prepare: {
    readonly asked: {
      readonly port: number;
      readonly caFile: string;
      readonly devicesFile: string;
      readonly from: number;
      readonly count: number;
      /** The listener joins them, as the last. */
      readonly withListener?: boolean;
    };
    readonly answer: undefined;
  };
  /** All at once unless `parallel` says how many; who is turned away tries again after half a second to a second and a half. */
  readonly connectAll: {
    readonly asked: { readonly parallel?: number; readonly keepalive?: number };
    readonly answer: {
      readonly seconds: number;
      readonly attempts: number;
      readonly refusals: string[];
    };
  };
  /** Ends every connection without a word, as a power cut does. */
  readonly dropAll: { readonly asked: undefined; readonly answer: undefined };
  /**
   * The last `count` clients subscribe, each to a topic of its own: those of group i get what publishers i, i + count, … send. With
   * `toAll` everybody to everything.
   */
  readonly subscribe: {
    readonly asked: { readonly count: number; readonly qos: 0 | 1; readonly toAll?: boolean };
    readonly answer: undefined;
  };
  /** The others publish: `burst` messages in one write, and the next when all of them have arrived (and, with QoS 1, are acknowledged). */
  readonly publish: {
    readonly asked: {
      readonly qos: 0 | 1;
      readonly burst: number;
      readonly milliseconds: number;
      readonly payloadBytes: number;
    };
    /** `lost`: what had not arrived when nothing had for three seconds. */
    readonly answer: { readonly delivered: number; readonly lost: number };
  };
  /** Each client one message per `interval`, spread evenly, at QoS 0. */
  readonly beat: {
    readonly asked: { readonly interval: number; readonly milliseconds: number };
    readonly answer: { readonly sent: number; readonly latest: number };
  };
  /** The only client hears everything, or what a filter below the bench's topic matches; the answer of `heard` are the latencies since, in ms, sorted. */
  readonly listen: {
    readonly asked: { readonly filter: string } | undefined;
    readonly answer: undefined;
  };
  readonly heard: { readonly asked: undefined; readonly answer: Float64Array };
  /** The first client pings, one after the other, until `pinged` asks for the longest times, in ms, sorted. */
  readonly ping: { readonly asked: undefined; readonly answer: undefined };
  readonly pinged: { readonly asked: undefined; readonly answer: Float64Array };
  /**
   * How one connection ends, from outside: when it was cut, and when the same device, which comes back at once and again and again,
   * was refused for the first time after having been let in for the last. Answers then.
   */
  readonly ending: { readonly asked: { readonly id: string }; readonly answer: Ending };
  /** Devices that are let in when they connect now. */
  readonly letIn: {
    readonly asked: { readonly ids: readonly string[] };
    readonly answer: string[];
  };
  /** How many connections stand. */
  readonly standing: { readonly asked: undefined; readonly answer: number };
}

/** Milliseconds of process.hrtime. */
export interface Ending {
  readonly cutAt: number;
  readonly refusedAt: number;
  /** The broker's words, or OpenSSL's. */
  readonly refusal: string;
  /** How often it was let in between. */
  readonly letIn: number;
}

export type LoadHandlers = {
  readonly [Name in keyof LoadCalls]: (
    asked: LoadCalls[Name]['asked'],
  ) => Promise<LoadCalls[Name]['answer']> | LoadCalls[Name]['answer'];
};

export interface LoadQuestion {
  readonly id: number;
  readonly name: keyof LoadCalls;
  readonly asked: unknown;
}

export interface LoadAnswer {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}
