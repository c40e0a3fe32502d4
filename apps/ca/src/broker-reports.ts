// What a broker has seen of its clients' certificates, judged by what is on record: a successor that is in use, an old certificate that came
// back, and one that nobody here has issued.
import {
  holdStranger,
  noteUse,
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
    await holdStranger(
      { store, clock },
      {
        ...{ serial: parseSerialHex(report.serial), identity: device, der: null, authority: null },
        ...{ seenBy: target.name, address },
      },
    );
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
