// The files of one device in a folder: ID.key, ID.crt (leaf and chain), and beside them what a renewal has not put in place yet.
import { join } from 'node:path';
import { KeylineError } from '@keyline/kernel';

export interface DeviceFiles {
  readonly key: string;
  readonly certificate: string;
  /** The next pair, while a renewal is under way. */
  readonly newKey: string;
  readonly newCertificate: string;
  /** Trust anchors of service and broker. */
  readonly ca: string;
  /** Of a broker that has others. */
  readonly brokerCa: string;
  /** What an MQTT client on the device needs to know. */
  readonly broker: string;
}

/** @throws {KeylineError} USAGE when the id would lead out of the folder; the rest of it the service judges */
export function deviceFilesOf(
  folder: string,
  id: string,
  as: 'files' | 'kit' = 'files',
): DeviceFiles {
  if (id === '' || id.includes('/') || id.includes('\0') || id.startsWith('.')) {
    throw new KeylineError(
      'USAGE',
      `"${id.slice(0, 100)}" can't be a device id: letters, digits, ".", "_", ":" and "-".`,
    );
  }
  const key = join(folder, `${id}.key`);
  const certificate = join(folder, `${id}.crt`);
  return {
    key,
    certificate,
    newKey: `${key}.new`,
    newCertificate: `${certificate}.new`,
    ca: join(folder, as === 'kit' ? 'trust.pem' : 'ca.pem'),
    brokerCa: join(folder, 'broker-ca.pem'),
    broker: join(folder, 'broker.json'),
  };
}
