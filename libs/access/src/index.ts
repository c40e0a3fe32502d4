export { explainRight, type TopicAction } from './explain-right.ts';
export { identityKindOf, serviceTypeOf, type IdentityKind } from './identity-kind.ts';
export {
  hasTemplates,
  topicsFor,
  type DeviceType,
  type DeviceTypes,
  type Role,
  type RoleSource,
  type Roles,
} from './role.ts';
export { assertTopicFilter } from './topic-filter.ts';
export { fillTopic, isTemplate, type TopicValues } from './topic-template.ts';
