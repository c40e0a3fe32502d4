// The lists of certificates that a broker keeps for its clients: what is put on them, and what the broker has to say of it.
import type { DeviceId, SerialHex } from '@keyline/kernel';
import { admittedOf, listOf, type FleetReader } from './desired-identity.ts';
import type { AdmittedCertificate, CertificateReport, PassedOver, Target } from './target.ts';

export interface CertificateLists {
  /** Brings lists to what the fleet says. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  admit(devices: readonly string[]): Promise<void>;
  /**
   * Lists on which neither the certificate in force is nor its predecessor. Where all of them are on record, the broker has missed
   * something, or is an older one, and takes the fleet's word. Where one is not, it is the fleet that knows less: its database was brought
   * back from an older day, or somebody else issues. Then the list stays as it is, and somebody must hear of it.
   */
  judgePassedOver(lists: readonly PassedOver[]): Promise<void>;
  takeReports(): Promise<readonly CertificateReport[]>;
}

const certificatesPerCall = 1000;

export function createCertificateLists({
  target,
  fleet,
}: {
  readonly target: Pick<Target, 'admit' | 'takeReports'>;
  readonly fleet: Pick<FleetReader, 'findDevice' | 'findCertificate'>;
}): CertificateLists {
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
    const missed: PassedOver[] = [];
    for (const list of lists) {
      const { device, serials } = list;
      const known = await Promise.all(
        serials.map((serial) => fleet.findCertificate(serial as SerialHex)),
      );
      const stranger = serials.find((_serial, position) => known[position]?.owner !== device);
      if (stranger === undefined) missed.push(list);
      else strangers.set(device, { kind: 'unlisted', device, serial: stranger, address: '' });
    }
    const listed = new Map(missed.map(({ device, serials }) => [device, serials]));
    const certificates = (await admittedNow([...listed.keys()])).map((one) => ({
      ...one,
      // Where it is on the list by what holds now, what the broker ended by itself stays ended.
      anew: listed.get(one.username)?.includes(one.serial) !== true,
    }));
    if (certificates.length > 0) await target.admit(certificates);
  }

  return {
    judgePassedOver,
    async admit(devices) {
      for (let start = 0; start < devices.length; start += certificatesPerCall) {
        const certificates = await admittedNow(devices.slice(start, start + certificatesPerCall));
        if (certificates.length > 0) await judgePassedOver(await target.admit(certificates));
      }
    },
    async takeReports() {
      const told = await target.takeReports();
      const reports = [...strangers.values(), ...told];
      strangers.clear();
      return reports;
    },
  };
}
