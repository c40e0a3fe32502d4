// What a broker has seen of its clients' certificates, judged by what is on record: a successor that is in use, an old certificate that came
// back, and one that nobody here has issued.
import {
  findSuccession,
  noteUse,
  type Alert,
  type Caller,
  type Certificate,
  type FleetContext,
} from '@keyline/fleet';
import { isKeylineError, parseSerialHex, type Clock } from '@keyline/kernel';
import type { CertificateReport, DynsecTarget } from '@keyline/targets';

interface ReportContext {
  readonly store: FleetContext['store'];
  readonly clock: Clock;
  readonly target: Pick<DynsecTarget, 'name' | 'admitBoth' | 'admitCurrent'>;
}

/** @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED, STORE_* */
export async function judgeReport(
  { store, clock, target }: ReportContext,
  report: CertificateReport,
): Promise<void> {
  const { device, kind, address } = report;
  const certificate = await store.findCertificate(parseSerialHex(report.serial));
  if (certificate?.owner !== device) {
    await raiseUnknown({ store, clock, target }, report);
    return;
  }
  // Services have no list, and what was revoked is refused as that.
  if (certificate.kind !== 'device' || certificate.state === 'revoked') return;
  const caller: Caller & { readonly certificate: Certificate } = {
    role: 'device',
    name: device,
    via: 'certificate',
    certificate,
    ...(address === '' ? {} : { address }),
  };
  try {
    await noteUse({ store, clock }, caller);
  } catch (error) {
    // Superseded by one that is in use: it stays out. Where two keys are in use the alert is raised by now.
    if (isKeylineError(error) && error.code === 'CERTIFICATE_NOT_ACCEPTED') return;
    throw error;
  }
  if (kind === 'used') return;
  // It is good, and the broker had not heard of it, or has forgotten it.
  if (certificate.state === 'active') {
    await target.admitCurrent(device, certificate.serial);
    return;
  }
  const succession = await findSuccession(store, certificate);
  if (succession !== undefined) {
    await target.admitBoth(device, certificate.serial, succession.current.serial);
  }
}

/** As many as a broker keeps. */
const mostKept = 1000;

/**
 * Judges reports one after the other. A broker says once that a successor is in use: when that could not be judged (the disk takes nothing,
 * say), it is kept until it can be, and meanwhile nothing else is judged of that device, or its superseded certificate would be taken for
 * one that nobody has replaced. An `unlisted` one comes again with its client.
 * @param onFailure told of each that could not be judged
 */
export function createReportQueue(
  judge: (report: CertificateReport) => Promise<void>,
  onFailure: (error: unknown) => void,
): (reports: readonly CertificateReport[]) => Promise<void> {
  let kept: readonly CertificateReport[] = [];
  return async (reports) => {
    const failed: CertificateReport[] = [];
    const unsettled = new Set<string>();
    for (const report of [...kept, ...reports]) {
      try {
        if (!unsettled.has(report.device)) {
          await judge(report);
          continue;
        }
      } catch (error) {
        onFailure(error);
      }
      if (report.kind !== 'used') continue;
      unsettled.add(report.device);
      failed.push(report);
    }
    kept = failed.slice(-mostKept);
  };
}

/** One alert for each device, as long as it is open: whoever has an authority's key could make certificates without end. */
async function raiseUnknown(
  { store, clock, target }: ReportContext,
  { device, serial, address }: CertificateReport,
): Promise<void> {
  const key = `identity:${device}:not-on-record`;
  const earlier = await store.findAlert(key);
  if (earlier?.resolvedAt === null) return;
  const at = clock.now();
  const alert: Alert = {
    key,
    severity: 'critical',
    summary: `The broker "${target.name}" refused a certificate for "${device}" (serial ${serial}${address === '' ? '' : `, from ${address}`}) that one of our authorities has signed and that is not on record here. Either the database was brought back from an older backup, or somebody else has the key of an issuing authority: revoke that authority if in doubt.`,
    count: 1,
    examples: [device],
    firstAt: at,
    lastAt: at,
    resolvedAt: null,
  };
  await store.commit({
    writes: [{ op: 'put-alert', alert }],
    entries: [
      {
        at,
        actor: 'keyline',
        data: { kind: 'alert-fired', alert: key, severity: 'critical', count: 1 },
      },
    ],
  });
}
