export { identityKindOf, serviceTypeOf, type IdentityKind } from './identity-kind.ts';
export { topicsFor, type DeviceType, type DeviceTypes, type Role, type Roles } from './role.ts';
export { assertTopicFilter } from './topic-filter.ts';
