// Roles of services: each makes one type of identity, of which only `keyline service create` makes any.
import { serviceTypeOf, type DeviceType, type Role } from '@keyline/access';
import type { Profiles } from '@keyline/pki';
import { suggest } from './nearest.ts';
import type { Fault } from './service-config.ts';

const defaultProfile = 'service-client';

export const isForServices = ({ kind }: Pick<Role, 'kind'>): boolean => kind === 'service';

export function serviceTypeFor(role: Role): DeviceType {
  const { name, description, profile = defaultProfile } = role;
  return { name: serviceTypeOf(name), description, profile, role: name };
}

/** What is wrong about the profile of a role for services. */
export function findServiceRoleFaults(
  role: Role,
  { profiles, broken }: { readonly profiles: Profiles; readonly broken: ReadonlySet<string> },
): Fault[] {
  if (!isForServices(role)) {
    return role.profile === undefined
      ? []
      : [
          {
            path: ['profile'],
            message:
              'only a role with "kind: service" names a profile; that of devices is named in types.yaml',
          },
        ];
  }
  const { profile: name } = serviceTypeFor(role);
  const path = role.profile === undefined ? ['kind'] : ['profile'];
  const profile = profiles.get(name);
  if (profile === undefined) {
    if (broken.has(`profiles/${name}.yaml`)) return [];
    const ofServices = [...profiles.values()].filter(({ kind }) => kind === 'service');
    const known = ofServices.map((one) => one.name);
    return [{ path, message: `there is no profile "${name}"${suggest(name, known)}` }];
  }
  if (profile.kind !== 'service') {
    const message = `the profile "${name}" is of kind ${profile.kind}; a role for services needs one of kind service`;
    return [{ path, message }];
  }
  const commonName = profile.subject.find(({ attribute }) => attribute === 'CN');
  if (commonName?.value === '{id}') return [];
  const message = `the profile "${name}" gives another CN than {id}: brokers take their user name from it`;
  return [{ path, message }];
}
