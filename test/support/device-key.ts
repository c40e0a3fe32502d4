// Keys and CSRs as a device makes them: the private key is made here and goes nowhere.
import { generateKey, createSigner } from '@keyline/keys';
import { createCsr, encodePem, type KeyAlgorithm } from '@keyline/x509';

export interface DeviceKey {
  readonly keyPem: string;
  csr(commonName: string): Promise<string>;
}

export function createDeviceKey(algorithm: KeyAlgorithm = 'ec-p256'): DeviceKey {
  const key = generateKey(algorithm);
  const signer = createSigner(key);
  return {
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }),
    csr: async (commonName) =>
      encodePem('CERTIFICATE REQUEST', await createCsr({ signer, commonName })),
  };
}
