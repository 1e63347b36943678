# Installs into a folder of its own, then builds and runs a program against what was installed, the
# way a stranger would: with pkg-config and nothing else.
set(prefix ${BUILD}/install_test)
file(REMOVE_RECURSE ${prefix})

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
                    ERROR_VARIABLE output OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT result EQUAL 0)
        list(JOIN ARGN " " line)
        message(FATAL_ERROR "${line}: ${result}\n${output}")
    endif()
    set(output "${output}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
foreach(file include/gw/wire/frame.h share/doc/tollgate/configuration.md
             share/doc/tollgate/tollgate.conf share/doc/tollgate/tollgate.service)
    if(NOT EXISTS ${prefix}/${file})
        message(FATAL_ERROR "${file} was not installed")
    endif()
endforeach()

set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
run(pkg-config --cflags --libs libgw)
separate_arguments(flags UNIX_COMMAND "${output}")
run(${CC} -std=c17 -Wall -Wextra -Werror ${FLAGS} ${SOURCE}/tests/install/consumer.c ${flags}
    -o ${prefix}/consumer)
run(${prefix}/consumer)
if(NOT output STREQUAL "PING 1, 5 of 5 bytes")
    message(FATAL_ERROR "the program says: ${output}")
endif()

# Nothing in the library needs a part of the gateway that was left out of it.
run(${CC} -std=c17 ${FLAGS} ${SOURCE}/tests/install/consumer.c -Wl,--whole-archive
    ${prefix}/${LIBDIR}/libgw.a -Wl,--no-whole-archive ${flags} -o ${prefix}/whole)

# A program that was installed runs from where it lies now.
foreach(program sbin/tollgate bin/tollgatectl)
    run(${prefix}/${program} --version)
endforeach()
run(${prefix}/sbin/tollgate --dump-config)
file(REMOVE_RECURSE ${prefix})
