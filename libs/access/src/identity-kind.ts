// What an identity is: a device, or a service (an application). Both have a type; that of a service is made of its role.

export type IdentityKind = 'device' | 'service';

/** No device type can begin like that: their names have no ":". */
const prefix = 'service:';

/** The type of services with a role: `service:telemetry-reader`. */
export function serviceTypeOf(role: string): string {
  return `${prefix}${role}`;
}

export function identityKindOf(type: string): IdentityKind {
  return type.startsWith(prefix) ? 'service' : 'device';
}
