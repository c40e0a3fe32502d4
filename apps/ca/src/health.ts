// What /readyz says: whether the service can do its work, and whether something needs somebody.
import type { Health } from '@keyline/api';
import type { Authorities } from '@keyline/authorities';
import type { Store } from '@keyline/fleet';
import type { Clock } from '@keyline/kernel';
import type { CrlPublisher } from '@keyline/status';
import { brokersBehind } from './conditions.ts';
import type { DiskReserve } from './disk-reserve.ts';
import type { TargetView } from './effects.ts';

export function createHealth(given: {
  readonly store: Pick<Store, 'countDevicesByState'>;
  readonly clock: Clock;
  readonly authorities: Pick<Authorities, 'all' | 'isLeftBy'>;
  readonly crl: Pick<CrlPublisher, 'latest'>;
  readonly targets: readonly Pick<TargetView, 'behindFor'>[];
  /** Milliseconds. */
  readonly behindAfter: number;
  readonly reserve: Pick<DiskReserve, 'isLow'>;
}): () => Promise<Health> {
  const { store, clock, authorities, crl, targets, behindAfter, reserve } = given;
  return async () => {
    // Throws when the database does not answer, which is no "ok" either.
    await store.countDevicesByState();
    const stale = authorities.all().filter(({ id }) => {
      const latest = crl.latest(id, 'complete');
      return latest === undefined || clock.now() >= latest.nextUpdate;
    });
    const behind = brokersBehind(targets, behindAfter);
    const revoked = authorities.all().filter(({ state }) => state === 'revoked');
    const early = authorities
      .all()
      .filter(({ certificate }) => clock.now() < certificate.notBefore);
    const needsSomebody =
      reserve.isLow() || behind.length > 0 || revoked.some(({ id }) => !authorities.isLeftBy(id));
    return {
      status: stale.length + early.length > 0 ? 'failing' : needsSomebody ? 'degraded' : 'ok',
      checks: {
        database: 'ok',
        clock: early.length === 0 ? 'ok' : `before it began: ${namesOf(early)}`,
        storage: reserve.isLow() ? 'nearly full: only revocations are taken' : 'ok',
        crl: stale.length === 0 ? 'ok' : `stale: ${namesOf(stale)}`,
        // Anybody may ask: how many is enough.
        brokers:
          behind.length === 0
            ? 'ok'
            : `behind: ${String(behind.length)} of ${String(targets.length)}`,
        authorities: revoked.length === 0 ? 'ok' : `revoked: ${namesOf(revoked)}`,
      },
    };
  };
}

const namesOf = (authorities: readonly { readonly id: string }[]): string =>
  authorities.map(({ id }) => id).join(', ');
