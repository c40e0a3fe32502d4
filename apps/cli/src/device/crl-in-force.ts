// By which CRL the broker that "keyline up" runs was seen to refuse: its figures say so, and only after a handshake that failed by it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Evidence } from '@keyline/api';
import { fetchPlain } from '@keyline/client';
import type { Clock } from '@keyline/kernel';
import type { CrlInForce } from '../print/evidence.ts';

/** The name that "keyline up" gives its broker. */
const bundled = 'broker';
const pace = 200;

/**
 * @param options.until `performance.now()`
 * @returns undefined when it is not to be known: an external broker, another machine
 */
export async function awaitCrlInForce(
  evidence: Evidence,
  options: {
    readonly metrics: string | undefined;
    readonly until: number;
    readonly clock: Clock;
  },
): Promise<CrlInForce | 'not in time' | undefined> {
  const { metrics, until, clock } = options;
  const needsCrl = evidence.targets.some(
    ({ target, refuses }) => target === bundled && refuses === 'crl',
  );
  const { list, authority, number: wanted = null } = evidence.crl ?? {};
  // Shards are numbered by themselves, and the broker reads the list of the whole authority.
  if (metrics === undefined || !needsCrl || wanted === null || list !== authority) return undefined;
  for (;;) {
    const number = await readNumber(metrics, `${list ?? ''}.crl`);
    if (number !== undefined && number >= wanted) {
      return { target: bundled, number, at: clock.now() };
    }
    if (performance.now() >= until) return 'not in time';
    await sleep(pace);
  }
}

/** Of the CRL that is in force; undefined while none is known to be. */
async function readNumber(metrics: string, file: string): Promise<number | undefined> {
  let text: string;
  try {
    text = (await fetchPlain(`${metrics}/metrics`)).bytes.toString('utf8');
  } catch {
    return undefined; // the broker is being started again, perhaps for this very CRL
  }
  const read = (name: string): number | undefined => {
    const line = text.split('\n').find((each) => each.startsWith(`keyline_broker_${name} `));
    return line === undefined ? undefined : Number(line.split(' ').at(-1));
  };
  // While it is down nobody gets in, but what it will refuse by is not seen yet.
  if (read('up') !== 1) return undefined;
  return read(`crl_number{crl="${file}"}`);
}
