// By what a peer is told apart from others before it has said who it is.
import { isIPv6 } from 'node:net';

/**
 * Who counts as one: an IPv4 address, also in IPv6's clothes (`::ffff:192.0.2.1`), or the /64 that an IPv6 host has for itself (RFC 4291
 * §2.5.4). Text that is no address is one of its own; a socket that is gone has none, and is ''.
 */
export function peerKeyOf(address: string | undefined): string {
  // The common case, for every request: nothing to take apart.
  if (address === undefined) return '';
  if (!address.includes(':')) return address;
  const plain = address.replace(/%.*$/, '').toLowerCase();
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('::', 2);
  const groupsOf = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const last = (tail === undefined ? before : after).at(-1) ?? '';
  const length = before.length + after.length + (last.includes('.') ? 1 : 0);
  const groups = [...before, ...Array.from({ length: 8 - length }, () => '0'), ...after];
  const mapped = groups.slice(0, 5).every((group) => /^0+$/.test(group)) && groups[5] === 'ffff';
  if (mapped && last.includes('.')) return last;
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
