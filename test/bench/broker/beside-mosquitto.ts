import { findCommand } from '../../support/needs.ts';
import type { Peer } from '../support/bench.ts';

const missing = 'Mosquitto (Debian package mosquitto)';

interface Beside {
  readonly peers: readonly Peer[];
  /** What is not there to compare with. */
  readonly missing?: string;
}

/** What a bench compares itself with: Mosquitto, measured where it is installed. Ours is measured either way. */
export async function besideMosquitto(measure: () => Promise<number>): Promise<Beside> {
  return asPeer(hasMosquitto() ? await measure() : undefined);
}

/** @param value undefined: it is not installed */
export function asPeer(value: number | undefined): Beside {
  return value === undefined ? { peers: [], missing } : { peers: [{ name: 'Mosquitto', value }] };
}

export function hasMosquitto(): boolean {
  return findCommand('mosquitto') !== undefined;
}
