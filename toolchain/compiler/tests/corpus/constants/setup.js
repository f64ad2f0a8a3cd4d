import "./mark.js";
export const g = "g";
