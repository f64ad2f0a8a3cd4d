mod assignment;
mod machine;
