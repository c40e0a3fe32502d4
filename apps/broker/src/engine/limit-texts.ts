// What a client that is cut is told, and the log says of it: the limit, and the option that sets it.

export const limitTexts = {
  late: (milliseconds: number): string =>
    `connect did not arrive in time (${milliseconds} ms, --connect-timeout)`,
  slowPacket: (milliseconds: number): string =>
    `A packet did not come to its end within ${milliseconds} ms (--packet-timeout).`,
  unread: (bytes: number): string =>
    `More than ${bytes} bytes wait to be read (four times --max-unread-bytes).`,
  /** @param what it was for, that it is used up, and the option that sets how much there is */
  evicted: (what: string): string =>
    `The broker's memory for ${what}, and this connection held the most of it.`,
} as const;
