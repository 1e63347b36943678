# Every target of ours links gw_warnings; a warning is an error.
add_library(gw_warnings INTERFACE)
target_compile_options(gw_warnings INTERFACE
    -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition>)
target_compile_definitions(gw_warnings INTERFACE _GNU_SOURCE)

# Hardening, for every build type but those that a sanitizer watches.
add_library(gw_hardening INTERFACE)
if(NOT GW_SANITIZE)
    target_compile_options(gw_hardening INTERFACE -fstack-protector-strong
        $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>)
    target_link_options(gw_hardening INTERFACE -Wl,-z,relro,-z,now)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
