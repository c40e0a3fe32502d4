// What a bench is, and what it answers.

export interface BenchContext {
  /** A short run: figures are rough, and data sets smaller. */
  readonly quick: boolean;
  /** Temporary, removed afterwards. Absolute. */
  readonly folder: string;
  /** Something worth knowing beside the figure: printed under the table. */
  readonly note: (text: string) => void;
}

export interface Peer {
  readonly name: string;
  /** In the unit of the figure. */
  readonly value: number;
}

export interface Measured {
  readonly value: number;
  /** What is compared with: L, or the figure that may not be exceeded. */
  readonly limit?: number;
  /** Others that do the same work, measured in the same run; the first is the one shown beside. */
  readonly peers?: readonly Peer[];
  /** What must hold beside the ratio; a note says what it is. */
  readonly holds?: boolean;
  /** What could not be compared with, because it is not installed: then a ratio to a peer is not judged. */
  readonly missing?: string | undefined;
}

export interface Bench {
  readonly id: string;
  readonly unit: string;
  /** One sentence: what the figure is. */
  readonly means: string;
  /** `value / limit` (or `value / peer` without a limit) has to be at least, or at most, this. */
  readonly reach: { readonly atLeast: number } | { readonly atMost: number };
  /** Without it there is nothing to measure. */
  readonly needs?: 'mosquitto';
  run(context: BenchContext): Promise<Measured>;
}

/** An entry of build/bench.json. */
export interface Figure {
  readonly id: string;
  readonly value: number;
  readonly unit: string;
  readonly limit?: number;
  readonly peer?: number;
  readonly peerName?: string;
  /** `value / limit`, or `value / peer` where there is no limit. */
  readonly ratio?: number;
  /** What the ratio has to be: `>= 0.75`. */
  readonly reach: string;
  /** Absent: there was nothing to compare with. */
  readonly met?: boolean;
  readonly missing?: string;
  readonly notes?: readonly string[];
}

export function figureOf(bench: Bench, measured: Measured, notes: readonly string[]): Figure {
  const { value, limit, peers = [], holds = true, missing } = measured;
  const [peer] = peers;
  const base = limit ?? peer?.value;
  const ratio = base === undefined ? undefined : value / base;
  const { reach } = bench;
  const isJudged = ratio !== undefined || missing === undefined;
  const met =
    holds &&
    ratio !== undefined &&
    ('atLeast' in reach ? ratio >= reach.atLeast : ratio <= reach.atMost);
  return {
    id: bench.id,
    value: round(value),
    unit: bench.unit,
    ...(limit === undefined ? {} : { limit: round(limit) }),
    ...(peer === undefined ? {} : { peer: round(peer.value), peerName: peer.name }),
    ...(ratio === undefined ? {} : { ratio: round(ratio) }),
    reach: 'atLeast' in reach ? `>= ${reach.atLeast}` : `<= ${reach.atMost}`,
    ...(isJudged ? { met } : {}),
    ...(missing === undefined ? {} : { missing }),
    ...(notes.length === 0 ? {} : { notes }),
  };
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
