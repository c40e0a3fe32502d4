// IP addresses between text and octets. Written out here because node:net is out of bounds for the offline root.
import { KeylineError } from '@keyline/kernel';

function invalid(text: string): KeylineError {
  return new KeylineError('REQUEST_INVALID', `"${text.slice(0, 60)}" is not an IP address.`);
}

/** Dotted IPv4 or IPv6 text → 4 or 16 octets. @throws {KeylineError} REQUEST_INVALID */
export function encodeIpAddress(text: string): Uint8Array {
  const octets = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  if (octets === undefined) throw invalid(text);
  return octets;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (
    parts.length !== 4 ||
    !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)
  ) {
    return undefined;
  }
  return Uint8Array.from(parts.map(Number));
}

function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map((half, index) =>
    parseGroups(half, { mayEndDotted: index === halves.length - 1 }),
  );
  const [head, tail] = groups;
  if (head === undefined || groups.includes(undefined)) return undefined;
  const after = tail ?? [];
  const missing = 8 - head.length - after.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => 0), ...after];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** @param options.mayEndDotted only the very end of an address may be an IPv4 one (RFC 4291 §2.2) */
function parseGroups(text: string, options: { mayEndDotted: boolean }): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (options.mayEndDotted && part.includes('.') && index === parts.length - 1) {
      const octets = parseIpv4(part);
      if (octets === undefined) return undefined;
      const [a = 0, b = 0, c = 0, d = 0] = octets;
      groups.push(a * 256 + b, c * 256 + d);
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

/** 4 or 16 octets → dotted text or RFC 5952 text; undefined for another length. */
export function decodeIpAddress(octets: Uint8Array): string | undefined {
  if (octets.length === 4) return octets.join('.');
  if (octets.length !== 16) return undefined;
  const groups = Array.from(
    { length: 8 },
    (_, i) => (octets[2 * i] ?? 0) * 256 + (octets[2 * i + 1] ?? 0),
  );
  // RFC 5952 §4.2: the longest run of zeros, the first of equals, never a single group.
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (best.start < 0) return hex(groups);
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}
