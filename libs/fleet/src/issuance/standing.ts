// What stands of a device that comes by a token or a batch; of one that is not known, nothing needs to be read.
import type { Certificate, Device } from '../model.ts';
import type { StoreReader } from '../ports.ts';
import type { Standing } from './admission.ts';

export const nothingStands: Standing = { device: undefined, isOrphaned: false, ending: [] };

/**
 * @param given.spkiSha256 of the proved key
 * @param given.rescues whether it may have another certificate when its authority was revoked
 */
export async function readStanding(
  store: Pick<StoreReader, 'findCertificate' | 'findKeyOwner' | 'listAuthorities'>,
  device: Device,
  given: { readonly spkiSha256: string; readonly rescues: boolean },
): Promise<Standing> {
  const { spkiSha256, rescues } = given;
  switch (device.state) {
    case 'suspended':
    case 'revoked':
      return { ...nothingStands, device };
    case 'registered':
    case 'decommissioned': {
      const keyOwner = await store.findKeyOwner(spkiSha256);
      return { ...nothingStands, device, keyOwner };
    }
    case 'active': {
      const current =
        device.serial === null ? undefined : await store.findCertificate(device.serial);
      const isCurrent = current?.state === 'active' && current.spkiSha256 === spkiSha256;
      return {
        device,
        current,
        isOrphaned: rescues && isCurrent && (await isOfRevokedAuthority(store, current)),
        keyOwner: isCurrent ? device.id : await store.findKeyOwner(spkiSha256),
        ending: [],
      };
    }
  }
}

async function isOfRevokedAuthority(
  store: Pick<StoreReader, 'listAuthorities'>,
  certificate: Certificate,
): Promise<boolean> {
  const authorities = await store.listAuthorities();
  const issuer = authorities.find(({ id }) => id === certificate.authority);
  return issuer?.state === 'revoked';
}
