// How things stand that need somebody, apart from what ends: for alerts, /readyz and the doctor.
import { conditionFinding, type Finding } from '@keyline/alerts';
import type { Authorities, RunningAuthority } from '@keyline/authorities';
import { formatDuration, formatInstant } from '@keyline/kernel';
import type { CrlPublisher } from '@keyline/status';
import type { DiskReserve } from './disk-reserve.ts';
import type { TargetView } from './effects.ts';

/** Brokers that have not taken something, or were away, for longer than that. */
export function brokersBehind<View extends Pick<TargetView, 'behindFor'>>(
  targets: readonly View[],
  behindAfter: number,
): View[] {
  return targets.filter((target) => target.behindFor() > behindAfter);
}

export function findConditions(given: {
  readonly authorities: Pick<Authorities, 'all' | 'roots' | 'isLeftBy'>;
  readonly crl: Pick<CrlPublisher, 'latest'>;
  readonly targets: readonly Pick<TargetView, 'name' | 'behindFor' | 'lastError'>[];
  readonly behindAfter: number;
  /** Of alerts, that nothing can be delivered to as they are configured. */
  readonly channels: readonly { readonly name: string; readonly reason: string }[];
  readonly reserve: Pick<DiskReserve, 'isLow'>;
  /** Epoch milliseconds. */
  readonly now: number;
}): Finding[] {
  const { authorities, crl, targets, behindAfter, channels, reserve, now } = given;
  return [
    ...(reserve.isLow()
      ? [
          conditionFinding({
            subject: 'storage',
            group: 'ca',
            state: 'reserved',
            severity: 'critical',
            summary:
              'The disk of the issuing CA is nearly full: nobody enrolls or renews, only revocations are taken. Make room beside its database.',
          }),
        ]
      : []),
    ...authorities
      .all()
      .filter(({ state, certificate }) => state === 'revoked' && now < certificate.notAfter)
      .map((authority) => describeRevoked(authority, authorities.isLeftBy(authority.id))),
    ...authorities
      .roots()
      .filter(({ id }) => crl.latest(id, 'complete') === undefined)
      .map(({ id }) =>
        conditionFinding({
          subject: 'crl',
          group: id,
          state: 'missing',
          severity: 'critical',
          summary: `No CRL of "${id}" was ever brought: whether it revoked an authority is not known. Make one with keyline-root crl, and bring it with keyline ca root-crl.`,
        }),
      ),
    ...channels.map(({ name, reason }) =>
      conditionFinding({
        subject: 'channel',
        group: name,
        state: 'unusable',
        severity: 'critical',
        summary: reason,
      }),
    ),
    ...brokersBehind(targets, behindAfter).map((target) =>
      conditionFinding({
        subject: 'target',
        group: target.name,
        state: 'behind',
        severity: 'critical',
        summary: Number.isFinite(target.behindFor())
          ? `The broker "${target.name}" has not taken changes for more than ${formatDuration(behindAfter)}: who was revoked meanwhile may still get in. ${withoutFigures(target.lastError()) ?? 'It is slow.'}`
          : `${target.lastError() ?? `The broker "${target.name}" takes nothing.`} Who was revoked meanwhile may still get in there.`,
      }),
    ),
  ];
}

function describeRevoked({ id, revocation }: RunningAuthority, isLeft: boolean): Finding {
  const since =
    revocation === undefined
      ? ''
      : ` at ${formatInstant(revocation.revokedAt)} (${revocation.reason})`;
  return conditionFinding({
    subject: 'authority',
    group: id,
    state: 'revoked',
    severity: isLeft ? 'warning' : 'critical',
    summary: `The issuing authority "${id}" was revoked by its root${since}: nothing that it issued is accepted. ${
      isLeft
        ? 'Its devices must enroll anew, with the authority that took its place.'
        : 'Nothing is issued in its place: add, install and activate another (keyline ca add).'
    }`,
  });
}

/** A sentence that changes every second would be written every second. */
function withoutFigures(text: string | undefined): string | undefined {
  return text?.replaceAll(/ (?:since|for) \d+ s/g, '');
}
