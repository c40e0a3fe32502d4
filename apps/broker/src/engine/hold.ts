// Why a connection is not read, though bytes may be there.

/** As bits: there may be several at once. */
export const hold = { output: 1, acknowledgements: 2, rate: 4, disk: 8, fanOut: 16 } as const;
export type Hold = (typeof hold)[keyof typeof hold];
