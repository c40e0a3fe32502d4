/** Version of all programs: that of the package. */
export const version = '0.1.0';
