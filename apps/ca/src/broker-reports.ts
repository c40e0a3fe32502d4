// What a broker has seen of its clients' certificates, judged by what is on record: a successor that is in use, an old certificate that came
// back, and one that nobody here has issued.
import {
  noteUse,
  strangerKey,
  type Alert,
  type Caller,
  type Certificate,
  type FleetContext,
} from '@keyline/fleet';
import { isDeviceId, isKeylineError, parseSerialHex, type Clock } from '@keyline/kernel';
import type { CertificateReport, TargetFollower } from '@keyline/targets';

interface ReportContext {
  readonly store: FleetContext['store'];
  readonly clock: Clock;
  readonly types: FleetContext['types'];
  readonly target: Pick<TargetFollower, 'name' | 'admit'>;
}

/** @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED, STORE_* */
export async function judgeReport(
  { store, clock, types, target }: ReportContext,
  report: CertificateReport,
): Promise<void> {
  const { device, kind, address } = report;
  const certificate = await store.findCertificate(parseSerialHex(report.serial));
  if (certificate?.owner !== device) {
    await raiseUnknown({ store, clock, types, target }, report);
    return;
  }
  // What has a name alone (the service itself) has no list, and what was revoked is refused as that.
  const { kind: role, state } = certificate;
  if ((role !== 'device' && role !== 'service') || !isDeviceId(device) || state === 'revoked')
    return;
  const caller: Caller & { readonly certificate: Certificate } = {
    role,
    name: device,
    via: 'certificate',
    certificate,
    ...(address === '' ? {} : { address }),
  };
  try {
    await noteUse({ store, clock, types }, caller);
  } catch (error) {
    // Superseded by one that is in use: it stays out. Where two keys are in use the alert is raised by now.
    if (isKeylineError(error) && error.code === 'CERTIFICATE_NOT_ACCEPTED') return;
    throw error;
  }
  if (kind === 'used') return;
  // It is good, and the broker had not heard of it, or has forgotten it.
  await target.admit(device);
}

/**
 * Judges reports one after the other. When the use of a successor could not be judged (the disk takes nothing, say), the broker tells it
 * again, and meanwhile nothing else is judged of that device, or its superseded certificate would be taken for one that nobody has
 * replaced. An `unlisted` one comes again with its client.
 * @param onFailure told of each that could not be judged
 * @returns uses that are on record now
 */
export async function judgeReports(
  reports: readonly CertificateReport[],
  judge: (report: CertificateReport) => Promise<void>,
  onFailure: (error: unknown) => void,
): Promise<readonly CertificateReport[]> {
  const settled: CertificateReport[] = [];
  const unsettled = new Set<string>();
  const usesFirst = reports.toSorted(
    (a, b) => Number(b.kind === 'used') - Number(a.kind === 'used'),
  );
  for (const report of usesFirst) {
    if (unsettled.has(report.device)) continue;
    try {
      await judge(report);
      if (report.kind === 'used') settled.push(report);
    } catch (error) {
      onFailure(error);
      if (report.kind === 'used') unsettled.add(report.device);
    }
  }
  return settled;
}

/** Certificates of one device that are named while its alert is open: whoever has an authority's key could make them without end. */
const mostNamed = 5;

/** One alert for each device: the next certificate opens it anew when somebody closed it, and is news of its own while it is open. */
async function raiseUnknown(
  { store, clock, target }: ReportContext,
  { device, serial, address }: CertificateReport,
): Promise<void> {
  const key = strangerKey(device);
  const earlier = await store.findAlert(key);
  const named = earlier?.resolvedAt === null ? earlier.examples : [];
  if (named.includes(serial) || named.length >= mostNamed) return;
  const at = clock.now();
  const serials = [...named, serial];
  const others =
    serials.length === 1
      ? ''
      : ` It is number ${String(serials.length)} of them${serials.length === mostNamed ? '; no more are named' : ''}.`;
  const alert: Alert = {
    key,
    severity: 'critical',
    summary: `The broker "${target.name}" refused a certificate for "${device}" (serial ${serial}${address === '' ? '' : `, from ${address}`}) that one of our authorities has signed and that is not on record here.${others} Either the database was brought back from an older backup, or somebody else has the key of an issuing authority: revoke that authority if in doubt. Deciding about the device closes this alert, and so does keyline alerts acknowledge ${key}.`,
    count: serials.length,
    examples: serials,
    firstAt: named.length === 0 ? at : (earlier?.firstAt ?? at),
    lastAt: at,
    resolvedAt: null,
  };
  await store.commit({
    writes: [{ op: 'put-alert', alert }],
    entries: [
      {
        at,
        actor: 'keyline',
        data: { kind: 'alert-fired', alert: key, severity: 'critical', count: alert.count },
      },
    ],
  });
}
