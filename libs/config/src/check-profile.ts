// What a profile must keep beyond its shape, so that no certificate comes out that a relying party or an auditor would refuse.
import { Duration, parseDuration } from '@keyline/kernel';
import type { Profile, ProfileKind } from '@keyline/pki';

/** A finding and the key it is about. */
export interface ProfileFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

interface KindRules {
  readonly extendedKeyUsage: Profile['extendedKeyUsage'];
  readonly apiRoles: readonly NonNullable<Profile['apiRole']>[];
}

const rules: Record<ProfileKind, KindRules> = {
  device: { extendedKeyUsage: ['clientAuth'], apiRoles: ['device'] },
  server: { extendedKeyUsage: ['serverAuth'], apiRoles: [] },
  service: { extendedKeyUsage: ['clientAuth'], apiRoles: ['auditor'] },
  operator: { extendedKeyUsage: ['clientAuth'], apiRoles: ['admin', 'operator', 'auditor'] },
  station: { extendedKeyUsage: ['clientAuth'], apiRoles: ['station'] },
  ocsp: { extendedKeyUsage: ['OCSPSigning'], apiRoles: [] },
};

const placeholder = /\{([^{}]*)\}/g;
const knownPlaceholder = /^(?:id|type|batch|label\.[A-Za-z0-9][A-Za-z0-9._-]{0,63})$/;
const longestBackdate = Duration.hours(1);
/** noRevAvail suits lifetimes below the time a revocation takes to arrive. */
const longestWithoutRevocation = Duration.days(7);

export function findProfileFaults(profile: Profile): ProfileFault[] {
  const faults: ProfileFault[] = [];
  const fault = (path: ProfileFault['path'], message: string): void => {
    faults.push({ path, message });
  };
  const { kind } = profile;
  const { extendedKeyUsage, apiRoles } = rules[kind];

  if (profile.extendedKeyUsage.join() !== extendedKeyUsage.join()) {
    fault(
      ['extendedKeyUsage'],
      `a profile of kind ${kind} has exactly [${extendedKeyUsage.join(', ')}]`,
    );
  }
  if (profile.apiRole !== undefined && !apiRoles.includes(profile.apiRole)) {
    const allowed = apiRoles.length === 0 ? 'no apiRole' : apiRoles.join(' or ');
    fault(
      ['apiRole'],
      `a profile of kind ${kind} can't be ${profile.apiRole}; it may have ${allowed}`,
    );
  }
  if (!profile.keyUsage.includes('digitalSignature')) {
    fault(['keyUsage'], 'digitalSignature is missing: TLS 1.3 and OCSP sign');
  }
  if (kind === 'server' && !profile.san.some((san) => 'request' in san)) {
    fault(['san'], 'a server needs its names: add { request: dns } or { request: ip }');
  }
  if (profile.ocspNoCheck !== (kind === 'ocsp')) {
    fault(
      ['ocspNoCheck'],
      'ocspNoCheck is for profiles of kind ocsp, and for all of them (RFC 6960 §4.2.2.2.1)',
    );
  }
  faults.push(...findNameFaults(profile), ...findTimeFaults(profile));
  return faults;
}

function findNameFaults(profile: Profile): ProfileFault[] {
  const faults: ProfileFault[] = [];
  const templates = [
    ...profile.subject.map(({ value }, position) => ({
      value,
      path: ['subject', position, 'value'],
    })),
    ...profile.san.flatMap((san, position) => {
      if ('uri' in san) return [{ value: san.uri, path: ['san', position, 'uri'] }];
      if ('hardwareModule' in san) {
        const path = ['san', position, 'hardwareModule', 'serialNumber'];
        return [{ value: san.hardwareModule.serialNumber, path }];
      }
      return 'dns' in san ? [{ value: san.dns, path: ['san', position, 'dns'] }] : [];
    }),
  ];
  for (const { value, path } of templates) {
    for (const [, name = ''] of value.matchAll(placeholder)) {
      if (!knownPlaceholder.test(name)) {
        faults.push({
          path,
          message: `"{${name}}" is no placeholder; there are {id}, {type}, {batch} and {label.NAME}`,
        });
      }
    }
    if (/[{}]/.test(value.replace(placeholder, ''))) {
      faults.push({ path, message: 'a brace stands alone; placeholders look like {id}' });
    }
  }
  const commonName = profile.subject.find(({ attribute }) => attribute === 'CN');
  if (profile.kind === 'device' && commonName?.value !== '{id}') {
    faults.push({
      path: ['subject'],
      message: 'a device has the CN {id}: brokers take their user name from it',
    });
  }
  if (profile.subject.filter(({ attribute }) => attribute === 'CN').length > 1) {
    faults.push({
      path: ['subject'],
      message: 'there are two CNs; verifiers disagree on which counts',
    });
  }
  return faults;
}

function findTimeFaults(profile: Profile): ProfileFault[] {
  const faults: ProfileFault[] = [];
  const lifetime =
    'duration' in profile.validity ? parseDuration(profile.validity.duration) : Infinity;
  if (lifetime < Duration.minutes(1)) {
    faults.push({
      path: ['validity', 'duration'],
      message: 'a certificate must live for 1m or longer',
    });
  }
  if (
    'until' in profile.validity &&
    Date.parse(profile.validity.until) > Date.UTC(9999, 11, 31, 23, 59, 59)
  ) {
    faults.push({
      path: ['validity', 'until'],
      message: 'the last moment is 9999-12-31T23:59:59Z',
    });
  }
  if (parseDuration(profile.backdate) > longestBackdate) {
    faults.push({ path: ['backdate'], message: '1h is the longest backdate' });
  }
  if (profile.noRevAvail) {
    if (profile.crlDistributionPoint || profile.authorityInfoAccess) {
      faults.push({
        path: ['noRevAvail'],
        message: 'noRevAvail excludes crlDistributionPoint and authorityInfoAccess (RFC 9608)',
      });
    }
    if (lifetime > longestWithoutRevocation) {
      faults.push({ path: ['noRevAvail'], message: 'noRevAvail is for lifetimes up to 7d' });
    }
  }
  return faults;
}
