// Room for a bounded number of peers that have proved nothing yet, shared fairly between the addresses they come from. As long as there
// is room everybody is taken: a whole plant behind one address is one address. Only when there is none, the address that holds most
// gives way.
import { isIPv6 } from 'node:net';

interface Member<Peer> {
  readonly peer: Peer;
  readonly address: string;
  /** Milliseconds of the monotonic clock. */
  readonly since: number;
}

/** What became of a peer that asked for room. */
export type Taken<Peer> = 'taken' | 'refused' | { readonly insteadOf: Peer };

export class FairShare<Peer> {
  readonly #limit: number;
  readonly #isIdle: (peer: Peer) => boolean;
  readonly #patience: number;
  /** In the order they came. */
  readonly #members = new Map<Peer, Member<Peer>>();
  readonly #byAddress = new Map<string, Set<Peer>>();
  /** Addresses by how many they hold, so that the largest is found without a search. */
  readonly #bySize = new Map<number, Set<string>>();
  #largest = 0;

  /**
   * @param options.isIdle whether nothing has come from the peer yet
   * @param options.patience milliseconds after which an idle peer gives way to another of its own address
   */
  constructor(options: {
    readonly limit: number;
    readonly isIdle: (peer: Peer) => boolean;
    readonly patience: number;
  }) {
    this.#limit = options.limit;
    this.#isIdle = options.isIdle;
    this.#patience = options.patience;
  }

  get size(): number {
    return this.#members.size;
  }

  has(peer: Peer): boolean {
    return this.#members.has(peer);
  }

  /** @param address as `shareOf` gives it. Who gives way is out already; ending it is the caller's. */
  add(peer: Peer, address: string, now: number): Taken<Peer> {
    let insteadOf: Peer | undefined;
    if (this.#members.size >= this.#limit) {
      insteadOf = this.#whoGivesWay(address, now);
      if (insteadOf === undefined) return 'refused';
      this.delete(insteadOf);
    }
    this.#members.set(peer, { peer, address, since: now });
    const peers = this.#byAddress.get(address) ?? new Set();
    peers.add(peer);
    this.#byAddress.set(address, peers);
    this.#resize(address, peers.size - 1, peers.size);
    return insteadOf === undefined ? 'taken' : { insteadOf };
  }

  delete(peer: Peer): boolean {
    const member = this.#members.get(peer);
    if (member === undefined) return false;
    this.#members.delete(peer);
    const peers = this.#byAddress.get(member.address);
    if (peers !== undefined) {
      peers.delete(peer);
      if (peers.size === 0) this.#byAddress.delete(member.address);
      this.#resize(member.address, peers.size + 1, peers.size);
    }
    return true;
  }

  /** Those who came before a moment, oldest first. */
  *before(moment: number): Generator<Peer> {
    for (const { peer, since } of this.#members.values()) {
      if (since >= moment) return;
      yield peer;
    }
  }

  peers(): Iterable<Peer> {
    return this.#members.keys();
  }

  #whoGivesWay(address: string, now: number): Peer | undefined {
    const held = this.#byAddress.get(address)?.size ?? 0;
    if (this.#largest > held + 1) {
      const [other] = this.#bySize.get(this.#largest) ?? [];
      const [oldest] = (other === undefined ? undefined : this.#byAddress.get(other)) ?? [];
      return oldest;
    }
    // Its own address holds most: only who has said nothing for a while gives way, and by no long search.
    const [oldest] = this.#byAddress.get(address) ?? [];
    if (oldest === undefined) return undefined;
    const since = this.#members.get(oldest)?.since ?? now;
    return now - since >= this.#patience && this.#isIdle(oldest) ? oldest : undefined;
  }

  #resize(address: string, from: number, to: number): void {
    const old = this.#bySize.get(from);
    old?.delete(address);
    if (old?.size === 0) this.#bySize.delete(from);
    if (to > 0) {
      const group = this.#bySize.get(to) ?? new Set();
      group.add(address);
      this.#bySize.set(to, group);
    }
    if (to > this.#largest) this.#largest = to;
    while (this.#largest > 0 && !this.#bySize.has(this.#largest)) this.#largest -= 1;
  }
}

/**
 * Who counts as one: an IPv4 address, also in IPv6's clothes, or the /64 that an IPv6 host has for itself (RFC 4291 §2.5.4). Text that
 * is no address is one of its own.
 */
export function shareOf(address: string): string {
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
