// Octets as Node's Buffer without copying, and as text.

/** A Buffer over the same memory. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Lower-case hex. */
export function hexOf(bytes: Uint8Array): string {
  return bufferOf(bytes).toString('hex');
}

/** One character per octet: a key for maps, and text known to be ASCII. */
export function latin1Of(bytes: Uint8Array): string {
  return bufferOf(bytes).toString('latin1');
}

/** Not constant-time: for public values. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
