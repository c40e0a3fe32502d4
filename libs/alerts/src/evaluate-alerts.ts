// What is near its end right now: certificates by the store's groups, authorities and CRLs one by one. Changes nothing.
import type { AlertSeverity, ExpiryGroup, StoreReader } from '@keyline/fleet';
import { formatDuration, formatInstant } from '@keyline/kernel';
import { alertKey, type AlertSubject, type Finding } from './finding.ts';
import type { AlertRules, ShareThreshold, TimeThreshold } from './rules.ts';
import type { WatchedAuthority, WatchedCrl } from './things.ts';

export type ExpiryReader = Pick<StoreReader, 'listExpiring' | 'listExpiringByShare'>;

export interface Evaluation {
  /** Epoch milliseconds. */
  readonly now: number;
  readonly reader: ExpiryReader;
  readonly rules: AlertRules;
  readonly authorities: readonly WatchedAuthority[];
  readonly crls: readonly WatchedCrl[];
}

/** One threshold of a ladder: what it says, and everything at or beyond it. */
interface Step {
  /** Last part of the alert key: `7d`, `15%`, `expired`. */
  readonly label: string;
  readonly severity: AlertSeverity;
  /** How a sentence goes on after "expires": `within 7d`, `…: less than 15% of the lifetime is left`. */
  readonly words: string;
  readonly groups: readonly ExpiryGroup[];
}

const everAfter = Number.MAX_SAFE_INTEGER;

export async function evaluateAlerts(evaluation: Evaluation): Promise<Finding[]> {
  const { rules, reader, now } = evaluation;
  const { shortLivedBelow } = rules;
  // One after the other: each lets other work have its turns, all at once would be turns as long as all of them.
  const long: Step[] = [];
  for (const threshold of rules.longLived) {
    const groups = await reader.listExpiring({
      before: now + threshold.within,
      minLifetime: shortLivedBelow,
      maxLifetime: everAfter,
    });
    long.push({ ...timeStep(threshold), groups });
  }
  const short: Step[] = [];
  for (const threshold of rules.shortLived) {
    const groups = await reader.listExpiringByShare({
      at: now,
      share: threshold.share,
      maxLifetime: shortLivedBelow,
    });
    short.push({ ...shareStep(threshold), groups });
  }
  const longExpired = await reader.listExpiring({
    before: now,
    minLifetime: shortLivedBelow,
    maxLifetime: everAfter,
  });
  const shortExpired = await reader.listExpiring({
    before: now,
    minLifetime: 0,
    maxLifetime: shortLivedBelow,
  });
  return [
    ...findCertificates([...long, expiredStep(longExpired)]),
    ...findCertificates([...short, expiredStep(shortExpired)]),
    ...evaluation.authorities.flatMap((authority) => findAuthority(authority, evaluation)),
    ...evaluation.crls.flatMap((crl) => findCrl(crl, evaluation)),
  ].reduce(mergeByKey, []);
}

function timeStep({ within, severity }: TimeThreshold): Omit<Step, 'groups'> {
  const label = formatDuration(within).replaceAll(' ', '');
  return { label, severity, words: `within ${label}` };
}

function shareStep({ share, severity }: ShareThreshold): Omit<Step, 'groups'> {
  const label = `${String(Number((share * 100).toPrecision(6)))}%`;
  return { label, severity, words: `soon: less than ${label} of the lifetime is left` };
}

function expiredStep(groups: readonly ExpiryGroup[]): Step {
  return { label: 'expired', severity: 'critical', words: '', groups };
}

/** Expired certificates of both lifetimes are one alert. */
function mergeByKey(findings: Finding[], finding: Finding): Finding[] {
  const position = findings.findIndex(({ key }) => key === finding.key);
  const earlier = findings[position];
  if (earlier === undefined) return [...findings, finding];
  const count = earlier.count + finding.count;
  const examples = [...new Set([...earlier.examples, ...finding.examples])].slice(0, 5);
  const summary =
    finding.subject === 'device' ? expiredSentence(finding.group, count) : earlier.summary;
  return findings.with(position, { ...earlier, count, examples, summary });
}

/**
 * Each certificate counts at the narrowest threshold it has reached, once. A group so has one alert per threshold, and a device that
 * nobody cares for can't hide the fleet that follows it.
 * @param steps from the widest to the narrowest; groups of a later step are contained in the earlier ones
 */
function findCertificates(steps: readonly Step[]): Finding[] {
  return steps.flatMap((step, position) => {
    const further = steps[position + 1]?.groups ?? [];
    return step.groups.flatMap((group): Finding[] => {
      const beyond = further.find(
        ({ kind, group: name }) => kind === group.kind && name === group.group,
      );
      const count = group.count - (beyond?.count ?? 0);
      if (count <= 0) return [];
      const examples = group.examples.filter((name) => beyond?.examples.includes(name) !== true);
      // Beyond holds the soonest; of the rest only the bound of the threshold is known.
      const soonest = beyond === undefined ? group.soonest : undefined;
      return [
        {
          key: alertKey(group.kind, group.group, step.label),
          subject: group.kind,
          group: group.group,
          severity: step.severity,
          summary: describeGroup(group, step, { count, soonest }),
          count,
          examples,
        },
      ];
    });
  });
}

const nouns: Readonly<Record<Exclude<AlertSubject, 'device'>, string>> = {
  server: 'server certificate',
  service: 'service certificate',
  operator: 'operator certificate',
  station: 'station certificate',
  ocsp: 'OCSP signer certificate',
  authority: 'authority',
  crl: 'CRL',
  target: 'broker',
  channel: 'channel of alerts',
  storage: 'storage',
  backup: 'backups',
  database: 'database',
};

function describeGroup(
  { kind, group }: ExpiryGroup,
  step: Step,
  { count, soonest }: { count: number; soonest: number | undefined },
): string {
  if (kind !== 'device') {
    const noun = `The ${nouns[kind]} of "${group}"`;
    if (step.label === 'expired')
      return `${noun} has expired. Renew it, or revoke it if it is no longer used.`;
    return `${noun} expires ${step.words}${when(soonest)}.`;
  }
  if (step.label === 'expired') return expiredSentence(group, count);
  const first = when(soonest, count === 1 ? '' : 'the first ');
  return `${countDevices(count, group)} ${count === 1 ? 'expires' : 'expire'} ${step.words}${first}.`;
}

function expiredSentence(type: string, count: number): string {
  const verb = count === 1 ? 'has an expired certificate' : 'have expired certificates';
  return `${countDevices(count, type)} ${verb}. Renew within the grace period, enroll anew, or decommission.`;
}

function countDevices(count: number, type: string): string {
  return `${String(count)} ${count === 1 ? 'device' : 'devices'} of type "${type}"`;
}

// Moments, not distances: a sentence that changes every minute would be written every minute.
function when(soonest: number | undefined, who = ''): string {
  if (soonest === undefined) return '';
  return ` (${who}at ${formatInstant(soonest)})`;
}

/** The narrowest threshold that a lifetime has reached. */
function findStep(
  { notBefore, notAfter }: { notBefore: number; notAfter: number },
  {
    now,
    rules,
    thresholds,
  }: { now: number; rules: AlertRules; thresholds: readonly TimeThreshold[] },
): Omit<Step, 'groups'> | undefined {
  const lifetime = notAfter - notBefore;
  const left = notAfter - now;
  if (lifetime < rules.shortLivedBelow) {
    const reached = rules.shortLived.findLast(({ share }) => left <= share * lifetime);
    return reached && shareStep(reached);
  }
  const reached = thresholds.findLast(({ within }) => left < within);
  return reached && timeStep(reached);
}

function findAuthority(authority: WatchedAuthority, { now, rules }: Evaluation): Finding[] {
  const { id, kind, notAfter } = authority;
  const noun = `The ${kind} authority "${id}"`;
  const base = { subject: 'authority', group: id, count: 1, examples: [id] } as const;
  if (now >= notAfter) {
    const summary = `${noun} has expired: nothing below it is accepted any more. Issue from a new one.`;
    return [{ ...base, key: alertKey('authority', id, 'expired'), severity: 'critical', summary }];
  }
  const step = findStep(authority, { now, rules, thresholds: rules.authorities });
  if (step === undefined) return [];
  return [
    {
      ...base,
      key: alertKey('authority', id, step.label),
      severity: step.severity,
      summary: `${noun} expires ${step.words}${when(notAfter)}. Bring its successor into the trust stores before.`,
    },
  ];
}

function findCrl(crl: WatchedCrl, { now, rules }: Evaluation): Finding[] {
  const { authority, thisUpdate, nextUpdate, interval } = crl;
  const noun = `The CRL of "${authority}"`;
  const base = { subject: 'crl', group: authority, count: 1, examples: [authority] } as const;
  if (now >= nextUpdate) {
    const summary = `${noun} ended at ${formatInstant(nextUpdate)}: brokers refuse every device below it. Publish a new one now.`;
    return [{ ...base, key: alertKey('crl', authority, 'overdue'), severity: 'critical', summary }];
  }
  if (interval !== undefined) {
    const due = thisUpdate + interval;
    const latest = due + rules.crl.overlapShare * Math.max(0, nextUpdate - due);
    if (now < latest) return [];
    const summary = `${noun} should have been published anew at ${formatInstant(due)}; the one in force ends at ${formatInstant(nextUpdate)}. See the service's log.`;
    return [{ ...base, key: alertKey('crl', authority, 'late'), severity: 'warning', summary }];
  }
  const step = findStep(
    { notBefore: thisUpdate, notAfter: nextUpdate },
    { now, rules, thresholds: rules.longLived },
  );
  if (step === undefined) return [];
  return [
    {
      ...base,
      key: alertKey('crl', authority, step.label),
      severity: step.severity,
      summary: `${noun} ends ${step.words}${when(nextUpdate)}. Make a new one with keyline-root crl.`,
    },
  ];
}
