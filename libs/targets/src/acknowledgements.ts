// When the broker last acknowledged what was asked of it for a device: evidence for recent changes, forgotten oldest first.

const most = 20_000;

export interface Acknowledgements {
  record(device: string, seq: number, at: number): void;
  /** Epoch milliseconds; undefined when the entry is not acknowledged yet, or no longer remembered. */
  find(device: string, seq: number): number | undefined;
}

export function createAcknowledgements(): Acknowledgements {
  const recent = new Map<string, { readonly seq: number; readonly at: number }>();
  return {
    record(device, seq, at) {
      const known = recent.get(device);
      if (known !== undefined && known.seq >= seq) return;
      // Set anew, so that the map stays in order of time.
      recent.delete(device);
      recent.set(device, { seq, at });
      if (recent.size > most) {
        const [oldest] = recent.keys();
        if (oldest !== undefined) recent.delete(oldest);
      }
    },
    find(device, seq) {
      const known = recent.get(device);
      return known !== undefined && known.seq >= seq ? known.at : undefined;
    },
  };
}
