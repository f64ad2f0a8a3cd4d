export const tailoring = () => null;
