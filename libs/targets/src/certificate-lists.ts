// The lists of certificates that a broker of ours keeps for its clients: what is put on them, and what the broker has to say of it.
import type { DeviceId, SerialHex } from '@keyline/kernel';
import type { BrokerLine } from './broker-line.ts';
import { readReports, type CertificateReport } from './certificate-reports.ts';
import {
  admittedOf,
  readPassedOver,
  type AdmittedCertificate,
  type PassedOver,
} from './client-commands.ts';
import { listOf, type FleetReader } from './reconcile.ts';

export interface CertificateLists {
  /** Brings lists to what the fleet says. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  admit(devices: readonly string[]): Promise<void>;
  /**
   * Lists on which neither the certificate in force is nor its predecessor. Where all of them are on record, the broker has missed
   * something, or is an older one, and takes the fleet's word. Where one is not, it is the fleet that knows less: its database was brought
   * back from an older day, or somebody else issues. Then the list stays as it is, and somebody must hear of it.
   */
  judgePassedOver(lists: readonly PassedOver[]): Promise<void>;
  /** @see DynsecTarget.takeReports */
  takeReports(): Promise<readonly CertificateReport[]>;
  /** @see DynsecTarget.settleUses */
  settleUses(reports: readonly CertificateReport[]): Promise<void>;
}

const certificatesPerPayload = 1000;

export function createCertificateLists({
  line,
  fleet,
}: {
  readonly line: Pick<BrokerLine, 'ask'>;
  readonly fleet: Pick<FleetReader, 'findDevice' | 'findCertificate'>;
}): CertificateLists {
  let seen = { start: '', last: 0 };
  /** Certificates on lists that are not on record, by device: told with the broker's own reports. */
  const strangers = new Map<string, CertificateReport>();

  /** An old entry must not put an old certificate behind a newer one: what counts is what the fleet says by now. */
  async function admittedNow(names: readonly string[]): Promise<AdmittedCertificate[]> {
    const devices = await Promise.all(names.map((name) => fleet.findDevice(name as DeviceId)));
    return devices.flatMap((device) => {
      if (device?.state !== 'active') return [];
      return admittedOf({ device: device.id, serials: listOf(device) }) ?? [];
    });
  }

  async function judgePassedOver(lists: readonly PassedOver[]): Promise<void> {
    const missed: string[] = [];
    for (const { device, serials } of lists) {
      const known = await Promise.all(
        serials.map((serial) => fleet.findCertificate(serial as SerialHex)),
      );
      const stranger = serials.find((_serial, position) => known[position]?.owner !== device);
      if (stranger === undefined) missed.push(device);
      else strangers.set(device, { kind: 'unlisted', device, serial: stranger, address: '' });
    }
    const certificates = (await admittedNow(missed)).map((one) => ({ ...one, anew: true }));
    if (certificates.length > 0) await line.ask([{ command: 'admitCertificates', certificates }]);
  }

  async function ask(after: number): Promise<ReturnType<typeof readReports>> {
    const [answer] = await line.ask([{ command: 'getCertificateReports', after }]);
    return readReports(answer?.data);
  }

  return {
    judgePassedOver,
    async admit(devices) {
      for (let start = 0; start < devices.length; start += certificatesPerPayload) {
        const certificates = await admittedNow(
          devices.slice(start, start + certificatesPerPayload),
        );
        if (certificates.length === 0) continue;
        const [answer] = await line.ask([{ command: 'admitCertificates', certificates }]);
        if (answer !== undefined) await judgePassedOver(readPassedOver(answer));
      }
    },
    async takeReports() {
      let told = await ask(seen.last);
      // Another start of the broker counts anew.
      if (told.start !== seen.start && seen.last > 0) told = await ask(0);
      seen = { start: told.start, last: told.last };
      const reports = [...strangers.values(), ...told.reports];
      strangers.clear();
      return reports;
    },
    async settleUses(reports) {
      const uses = reports
        .filter(({ kind }) => kind === 'used')
        .map(({ device, serial }) => ({ username: device, serial }));
      if (uses.length > 0) await line.ask([{ command: 'settleCertificateUses', uses }]);
    },
  };
}
