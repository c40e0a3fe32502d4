// A whole Keyline as `keyline up` starts it, with devices enrolled over its API whose keys a load process has.
import { createPrivateKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSigner } from '@keyline/keys';
import { createCsr, encodePem } from '@keyline/x509';
import { startKeyline, type RunningKeyline } from '../../support/keyline.ts';
import { enrollAll } from '../support/devices.ts';
import type { LoadTarget } from '../support/http-load.ts';
import { copyConfig } from '../support/issuing-ca.ts';
import { seenAsCa } from '../support/served-keyline.ts';
import { prepareFleet, readProofs, type Proof } from './fleet-certificates.ts';

export interface EnrolledFleet {
  readonly keyline: RunningKeyline;
  readonly brokerPort: number;
  /** As the admin. */
  readonly api: LoadTarget;
  readonly caFile: string;
  readonly devicesFile: string;
  readonly ids: readonly string[];
  stop(): Promise<void>;
}

export async function startEnrolledFleet(options: {
  readonly folder: string;
  readonly broker: 'embedded' | 'mosquitto';
  readonly devices: number;
}): Promise<EnrolledFleet> {
  const { folder, broker, devices } = options;
  const known = readProofs((await prepareFleet(devices)).devices);
  const csrs: { id: string; pem: string }[] = [];
  for (const { id, key } of known.devices.slice(0, devices)) {
    const signer = createSigner(createPrivateKey(key));
    const der = await createCsr({ signer, commonName: id });
    csrs.push({ id, pem: encodePem('CERTIFICATE REQUEST', der) });
  }
  const config = join(folder, 'config');
  copyConfig(config);
  const keyline = await startKeyline({
    data: join(folder, 'keyline'),
    config,
    broker: broker === 'mosquitto' ? broker : undefined,
  });
  try {
    const { broker: brokerUrl, ca } = keyline.endpoints;
    const service = await seenAsCa(keyline);
    const units = await enrollAll(service, csrs);
    service.admin.close();
    const devicesFile = join(folder, 'devices.json');
    const certificates = new Map(units.map(({ id, certificate }) => [id, certificate]));
    const proofs: Proof[] = known.devices
      .slice(0, devices)
      .map((proof) => ({ ...proof, cert: certificates.get(proof.id)! }));
    writeFileSync(devicesFile, JSON.stringify([known.listener, known.admin, ...proofs]));
    return {
      keyline,
      brokerPort: Number(new URL(brokerUrl).port),
      api: { ...service.api, tls: { ca: service.trust, ...service.adminProof } },
      caFile: ca,
      devicesFile,
      ids: csrs.map(({ id }) => id),
      stop: () => keyline.stop(),
    };
  } catch (error) {
    await keyline.stop();
    throw error;
  }
}
